return require("tcpki.core").pem
