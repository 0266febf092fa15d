return require("tcpki.core").crl
