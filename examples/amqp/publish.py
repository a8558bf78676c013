#!/usr/bin/python3
# Tells every Emperor that runs with --emperor amqp://HOST:PORT what to run:
#
#   publish.py HOST:PORT ''        /etc/vassals/hello.ini        the file, on each of their hosts
#   publish.py HOST:PORT ''        http://config/hello.ini       what a server gives
#   publish.py HOST:PORT hello.ini "$(cat hello.ini)"            the config itself
#   publish.py HOST:PORT hello.ini ''                            stop it
#
# Debian: apt-get install python3-pika
import sys
import pika

host, port = sys.argv[1].split(':')
# connect to RabbitMQ server
connection = pika.BlockingConnection(pika.ConnectionParameters(host, int(port)))
# get the channel
channel = connection.channel()
# create the exchange (if not already available)
channel.exchange_declare(exchange='uwsgi.emperor', exchange_type='fanout')
# publish the message
channel.basic_publish(exchange='uwsgi.emperor', routing_key=sys.argv[2], body=sys.argv[3])
connection.close()
