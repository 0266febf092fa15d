return require("tcpki.core").certificate
