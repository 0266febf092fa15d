return require("tcpki.core").key
