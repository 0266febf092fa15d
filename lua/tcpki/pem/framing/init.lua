--- How readers find the blocks of a text: the six ways that there are.
--
-- Each way is a function of what is read and of the rules of a reader (tcpki.pem.readers). It gives an iterator over
-- the blocks that the reader sees: `{ label =, headers =, der =, at = (where it begins) }`; or nil and a fault
-- `{ code =, at = }`; or nil alone at the end of the text. After a fault it can be called again: it goes on behind.
--
-- What is read has `text`; `plain`, the blocks of the scanner that all readers take for the same, by where they
-- begin (with `last`, where they end); and `decode(body)`, in the reader's base64.
--
-- All take time linear in the text, whatever it is: a search is never made twice over the same bytes.
-- @module tcpki.pem.framing

return {
  openssl = require "tcpki.pem.framing.openssl",
  go = require "tcpki.pem.framing.go",
  rustls = require "tcpki.pem.framing.rustls",
  netty = require "tcpki.pem.framing.netty",
  jdk = require "tcpki.pem.framing.jdk",
  cryptography = require "tcpki.pem.framing.cryptography",
}
