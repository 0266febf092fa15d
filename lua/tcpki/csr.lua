return require("tcpki.core").csr
