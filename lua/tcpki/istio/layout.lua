--- The directories of CA files that istiod reads: which files there are, and what is in them.
-- @module tcpki.istio.layout
-- @local

local fault = require "tcpki.fault"
local file = require "tcpki.file"

local layout = {}

--- The two layouts, by the roles of their files (istio: security/pkg/pki/ca/ca.go). istiod reads that of a
-- kubernetes.io/tls Secret wherever there is a tls.crt; that one has no CRL.
layout.layouts = {
  istio = {
    name = "istio", certificate = "ca-cert.pem", key = "ca-key.pem", root = "root-cert.pem",
    chain = { "cert-chain.pem" }, crl = "ca-crl.pem", needed = { "ca-key.pem", "ca-cert.pem", "root-cert.pem",
      "cert-chain.pem" },
  },
  kubernetes = {
    name = "kubernetes", certificate = "tls.crt", key = "tls.key", root = "ca.crt", chain = { "tls.crt", "ca.crt" },
    needed = { "tls.key", "tls.crt", "ca.crt" },
  },
}

layout.CRL = "ca-crl.pem"
layout.GENERATED = "istio-generated"

--- Every file that istiod looks for in such a directory.
layout.names = {
  "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem", "ca-crl.pem", "tls.crt", "tls.key", "ca.crt",
  layout.GENERATED,
}

local known = {}
for _, name in ipairs(layout.names) do
  known[name] = true
end

--- Joins a directory and a name.
-- @tparam string directory
-- @tparam string name
-- @treturn string
function layout.at(directory, name)
  return directory:sub(-1) == "/" and directory .. name or directory .. "/" .. name
end

--- Puts texts together into what a check looks at.
-- @tparam {[string]=string} texts by the names of the files
-- @tparam[opt] {[string]=integer} modes the permission bits
-- @treturn table `texts`, `modes`, `layout`
function layout.of(texts, modes)
  return { texts = texts, modes = modes or {}, layout = layout.layouts[texts["tls.crt"] and "kubernetes" or "istio"] }
end

--- Reads a directory.
-- @tparam string directory
-- @treturn[1] table as of `of`, with `directory`
-- @treturn[2] nil
-- @treturn[2] fault `not_found` where it has none of the files, `permission_denied`, …
function layout.read(directory)
  local entries, err = file.list(directory)
  if not entries then
    return nil, err
  end
  local texts, modes = {}, {}
  for _, entry in ipairs(entries) do
    if known[entry.name] then
      local text
      text, err = file.read(layout.at(directory, entry.name))
      if not text then
        return nil, err
      end
      texts[entry.name] = text
      -- A Secret is mounted as links; what they point to is for the kubelet to guard.
      modes[entry.name] = entry.kind == "file" and entry.mode or nil
    end
  end
  if not next(texts) then
    return fault.fail {
      code = "not_found",
      message = "this is no directory of CA files: it has none of those that istiod reads",
      hint = "name the directory with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, or with tls.crt",
      path = directory,
    }
  end
  local found = layout.of(texts, modes)
  found.directory = directory
  return found
end

--- The fault that a directory cannot be used for: the first error of a report.
-- @tparam report report with an error
-- @tparam ?string directory
-- @treturn fault
function layout.refused(report, directory)
  for _, finding in ipairs(report) do
    if finding.severity == "error" then
      return fault.new {
        code = "not_verified", path = directory, hint = finding.hint, subject = finding.subject,
        message = ("istiod would not take it: %s%s"):format(finding.path and finding.path .. ": " or "",
          finding.message),
      }
    end
  end
end

return layout
