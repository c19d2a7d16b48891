#!/bin/sh
# Writes ssl.config, a file for --ssl_config_file with a new key and its own certificate for localhost, and that
# certificate as localhost.pem, by which clients know the server. For a try: real servers have a certificate from a CA.
#
# Usage: sh examples/make_ssl_config.sh [DIRECTORY]; needs openssl.
set -eu
cd "${1:-.}"
umask 077 # the key is nobody else's business

key=$(mktemp)
trap 'rm -f "$key"' EXIT
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$key" -out localhost.pem -days 30 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null

# A text in protobuf's text format may be split into one literal a line.
literals() { sed 's/.*/  "&\\n"/' "$1"; }
{
  printf 'server_key:\n' && literals "$key"
  printf 'server_cert:\n' && literals localhost.pem
  printf 'client_verify: false\n'
} >ssl.config
chmod a+r localhost.pem
