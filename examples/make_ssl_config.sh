#!/bin/sh
# Writes ssl.config, a file for --ssl_config_file with a new key and a self-signed certificate for localhost, and the
# certificate alone as localhost.pem, with which clients verify the server. Only for trying it out: real servers need a
# certificate from a CA.
#
# Usage: sh examples/make_ssl_config.sh [DIRECTORY]; needs openssl.
set -eu
cd "${1:-.}"
umask 077 # only the user can read the key

key=$(mktemp)
trap 'rm -f "$key"' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$key" -out localhost.pem -days 30 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null

# A string in protobuf's text format can be split into one literal per line.
literals() { sed 's/.*/  "&\\n"/' "$1"; }
{
  printf 'server_key:\n' && literals "$key"
  printf 'server_cert:\n' && literals localhost.pem
  printf 'client_verify: false\n'
} >ssl.config
chmod a+r localhost.pem
