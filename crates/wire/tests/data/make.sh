#!/bin/sh
# Makes the certificates of the TLS tests, valid for a century. Run it in this folder; needs openssl.
set -eu
days=36500
request() { openssl req -newkey rsa:2048 -nodes -keyout "$1-key.pem" -subj "/CN=$2" -out "$1.csr" 2>/dev/null; }
authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -days $days -subj "/CN=$2" -out "$1.pem" 2>/dev/null
}

authority other-ca "innoclone test: an authority nobody asked"
authority ca "innoclone test authority"
for name in server client v1; do request $name "innoclone test $name"; done
extensions() { printf 'basicConstraints=CA:FALSE\n%s' "$1" >"$name.ext"; }
finish() { openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $days "$@" -out $name.pem 2>/dev/null; }
name=server; extensions 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'; finish -extfile $name.ext
name=client; extensions ''; finish -extfile $name.ext
name=v1; finish
rm -f ca.key *.csr *.ext *.srl other-ca.key
