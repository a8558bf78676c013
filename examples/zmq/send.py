#!/usr/bin/python3
# Tells an Emperor that runs with --emperor zmq://tcp://127.0.0.1:5252 what to run:
#
#   send.py tcp://127.0.0.1:5252 touch hello.ini "$(cat hello.ini)"
#   send.py tcp://127.0.0.1:5252 touch hello.ini "$(cat hello.ini)" 33 33 /run/hello.sock
#   send.py tcp://127.0.0.1:5252 destroy hello.ini
#
# Debian: apt-get install python3-zmq
import sys
import zmq

c = zmq.Context()
s = zmq.Socket(c, zmq.PUSH)
s.connect(sys.argv[1])
s.send_multipart([part.encode() for part in sys.argv[2:]])
# at the end of a script: nothing is sent after it unless it waits here
s.close()
c.term()
