#!/usr/bin/perl
# A tiny HTTP server that tells the time. It needs only what perl-base brings, and takes its listening
# socket from whoever started it: LISTEN_FDS=1 means descriptor 3.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
die "clock: no listening socket was handed over (LISTEN_FDS)\n" unless ($ENV{LISTEN_FDS} // 0) >= 1;
my $listener = IO::Socket::INET->new_from_fd(3, 'r+') or die "clock: descriptor 3: $!\n";
print "clock: process $$ tells the time\n";

# A stop waits for the answer that is being written, and for nothing else.
my ($busy, $stop) = (0, 0);
sub leave { print "clock: process $$ stops\n"; exit 0 }
$SIG{TERM} = sub { $busy ? ($stop = 1) : leave() };
$SIG{PIPE} = 'IGNORE';

until ($stop) {
    my $ready = '';
    vec($ready, fileno($listener), 1) = 1;
    next unless select($ready, undef, undef, undef) > 0;
    $busy = 1;
    if (my $client = $listener->accept) {
        while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
        my $body = 'It is ' . localtime() . ", says process $$.\n";
        print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ", length($body),
            "\r\nConnection: close\r\n\r\n", $body;
        close $client;
    }
    $busy = 0;
}
leave();
