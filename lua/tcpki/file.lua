return require("tcpki.core").file
