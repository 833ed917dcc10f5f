#!/bin/sh
# The password arrives as a file and leaves as a bcrypt hash in memory; it is never an argument.
set -eu
umask 077
htpasswd -niB ops < /lab/password > /run/htpasswd
exec docker-registry serve /lab/config.yml
