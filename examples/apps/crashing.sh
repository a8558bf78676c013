echo "crashing: process $$ starts, and gives up at once"
exit 3
