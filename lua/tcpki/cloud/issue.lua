--- Issuing for Temporal Cloud: a CA and clients that satisfy every rule by construction.
--
--     local ca = assert(cloud.authority { company = "Acme", directory = "certs" })
--     local client = assert(cloud.client { authority = ca, namespace = "payments.a1b2c", days = 90 })
--     assert(client:write "certs")          -- payments.a1b2c.pem, payments.a1b2c.key
--     assert(ca:bundle():write "ca-bundle.pem")
--
-- The files are those of Temporal's own generator, `ca.pem`, `ca.key`, `NAME.pem`, `NAME.key`, `NAME.pfx`, and so are
-- the alternative names, `client.root.<company>.<random>` and `client.endentity.<company>.<random>`; but leaves are
-- X.509 version 3 and say CA:false and digitalSignature, keys are EC P-256, and no two names of a chain are the same.
-- @module tcpki.cloud.issue

return {
  --- Makes a CA: a self-signed certificate of the company with a name of its own, path length 0. Or takes one up.
  -- @function authority
  -- @tparam table given
  --
  -- * `company`: the organization (O) of the CA and its clients
  -- * `name`: the common name; by default one with four random characters, since no two CAs of a bundle may have one
  --   name
  -- * `days` (3650 by default), `not_before`, `not_after`, `path_length` (0 by default)
  -- * `key`: a private key, or options of `tcpki.key.generate`; RSA or EC, P-256 by default
  -- * `directory`: the CA in it is taken up, `ca.pem` and `ca.key`; where there is none, one is made and written
  -- * `certificate_path`, `key_path`: a CA that exists, a root or an intermediate; the file of the certificate may
  --   hold those above it, in any order
  -- * `passphrase`, `passphrase_file`, `passphrase_env`: of the key's file
  -- @treturn[1] authority with `certificate`, `key`, `chain`, `company`, `authority` (the `tcpki.authority`), and
  -- methods `write(directory)`, `bundle()`, `client{…}`
  -- @treturn[2] nil
  -- @treturn[2] fault `bad_name`, `unsupported_key`, `weak`, `not_an_authority`, `key_mismatch`, `already_exists` (the
  -- CA in the directory is another company's), …
  authority = require "tcpki.cloud.issue.authority",

  --- Issues the certificate of a client.
  -- @function client
  -- @tparam table given
  --
  -- * `authority`: of `cloud.authority`, or a `tcpki.authority`
  -- * `namespace`: `<name>.<account>`; the common name and an alternative name, which filters can ask for
  -- * `name`: of the files, and of a client without a namespace; by default the namespace
  -- * `company` (that of the CA by default), `common_name`, `organizational_unit`, `subject_alt_names` (in the place of
  --   `client.endentity.…`)
  -- * `days` (365 by default, but always less than the CA has left; too many are a fault), `not_before`, `not_after`
  -- * `key`: a private key, or options of `tcpki.key.generate`; RSA or EC, P-256 by default
  -- * `csr`: a request in the place of a key; its subject and names stay, unless others are given
  -- @treturn[1] client with `name`, `namespace`, `certificate`, `chain`, `key` (nil for a CSR), `leaf`, and the method
  -- `write(directory, { pfx =, overwrite = })`
  -- @treturn[2] nil
  -- @treturn[2] fault `bad_name`, `bad_namespace`, `bad_account`, `outlives_issuer`, `expired`, `unsupported_key`,
  -- `weak`, `bad_signature`, …
  client = require "tcpki.cloud.issue.client",
}
