--- The Secret that istiod mounts.
-- @module tcpki.istio

local fault = require "tcpki.fault"
local file = require "tcpki.file"
local go = require "tcpki.go"
local layout = require "tcpki.istio.layout"
local options = require "tcpki.options"
local quote = require "tcpki.pem.quote"

-- istiod looks for no other name (security/pkg/pki/ca/ca.go, CACertsSecret).
local NAME = "cacerts"
-- What the API server of Kubernetes takes as the data of one Secret.
local LIMIT = 1024 * 1024

local methods = {}
local metatable = { __name = "tcpki.istio.secret", __index = methods }

function metatable:__tostring()
  return ("tcpki.istio.secret (%s/%s, %d files)"):format(self.namespace, self.name, #self.files)
end

-- lyaml writes a table in the order of pairs, which differs from run to run.
local ordered = {
  __pairs = function(self)
    local names = {}
    for name in next, self do
      names[#names + 1] = name
    end
    table.sort(names)
    local i = 0
    return function()
      i = i + 1
      return names[i], self[names[i]]
    end
  end,
}

local function with_line_end(text)
  return (text == "" or text:sub(-1) == "\n") and text or text .. "\n"
end

-- The certificates of some views as PEM, but for those that are in a list.
local function pem_without(views, others)
  local excluded, blocks = {}, {}
  for _, view in ipairs(others) do
    excluded[view.der] = true
  end
  for _, view in ipairs(views) do
    if not excluded[view.der] then
      blocks[#blocks + 1] = view.certificate:pem()
    end
  end
  return table.concat(blocks)
end

-- The texts of one layout out of those of the other.
local function converted(texts, names, wanted)
  if wanted == "kubernetes" then
    if texts[layout.CRL] and texts[layout.CRL] ~= "" then
      return fault.fail {
        code = "crl_unusable", message = "a kubernetes.io/tls Secret has no place for ca-crl.pem",
        hint = "keep the layout with ca-cert.pem, or remove the CRL",
      }
    end
    local first = go.pool(texts[names.certificate])[1]
    local chain = go.pool(texts[names.chain[1]])
    local known = go.pool(texts[names.root])
    known[#known + 1] = first
    return {
      ["tls.crt"] = first.certificate:pem() .. pem_without(chain, known), ["tls.key"] = texts[names.key],
      ["ca.crt"] = with_line_end(texts[names.root]),
    }
  end
  local chain = go.pool(texts["tls.crt"])
  return {
    ["ca-cert.pem"] = chain[1].certificate:pem(), ["ca-key.pem"] = texts["tls.key"],
    ["cert-chain.pem"] = with_line_end(texts["tls.crt"]), ["root-cert.pem"] = with_line_end(texts["ca.crt"]),
  }
end

local function names_of(texts, kind)
  local names = {}
  for _, name in ipairs(kind.needed) do
    names[#names + 1] = name
  end
  if kind.crl and texts[kind.crl] then
    names[#names + 1] = kind.crl
  end
  table.sort(names)
  return names
end

local function word(text)
  return text:find "^[%w%._/=-]+$" and text or quote(text, "env")
end

local function command_of(self, directory)
  local words = { "kubectl create secret generic", self.name, "--namespace", word(self.namespace) }
  if self.type ~= "Opaque" then
    words[#words + 1] = "--type=" .. self.type
  end
  for _, name in ipairs(self.files) do
    words[#words + 1] = "--from-file=" .. word(layout.at(directory, name))
  end
  return table.concat(words, " ")
end

-- The Secret out of texts that were checked. Of a directory there is a command too.
local function make(texts, kind, namespace, directory)
  local self = setmetatable({
    name = NAME, namespace = namespace, layout = kind.name, files = names_of(texts, kind),
    type = kind.name == "kubernetes" and "kubernetes.io/tls" or "Opaque",
  }, metatable)
  local data, size = setmetatable({}, ordered), 0
  for _, name in ipairs(self.files) do
    data[name] = quote(texts[name], "base64")
    size = size + #texts[name]
  end
  if size > LIMIT then
    return fault.fail { code = "too_large", message = "a Secret of Kubernetes holds at most 1 MiB",
      hint = "leave out of root-cert.pem what nobody needs" }
  end
  self.manifest = require "lyaml".dump { setmetatable({
    apiVersion = "v1", kind = "Secret", type = self.type, data = data,
    metadata = setmetatable({ name = self.name, namespace = namespace }, ordered),
  }, ordered) }
  if directory then
    self.command = command_of(self, directory)
    self.replace = self.command .. " --dry-run=client --output=yaml | kubectl replace --filename=-"
  else
    self.replace = "kubectl replace --filename=FILE"
  end
  return self
end

--- Writes the manifest to a file of mode 0600: the private key is in it.
-- @function secret:write
-- @tparam string path
-- @tparam[opt] table given `overwrite` (false by default)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault
function methods:write(path, given)
  given = options.check("secret:write", given, { overwrite = "boolean" })
  return file.write(path, self.manifest, { mode = 384, overwrite = given.overwrite })
end

-- "istio-system": RFC 1123 labels, as Kubernetes has them.
local function is_label(text)
  return #text <= 63 and text:find "^[a-z0-9][a-z0-9-]*$" and text:sub(-1) ~= "-"
end

local secret = { make = make }

--- Packs a directory of CA files into the Secret `cacerts`, once istiod would start on it.
-- @function secret
-- @tparam string directory
-- @tparam[opt] table given `namespace` ("istio-system"), `layout` ("istio" or "kubernetes", a kubernetes.io/tls Secret
-- with tls.crt, tls.key and ca.crt; by default that of the directory)
-- @treturn[1] secret with `manifest` (YAML; the private key is in it, in base64), `command` (kubectl, to create it from
-- the files; nil where the layout is another one than that of the directory), `replace` (to replace one that is there),
-- `name`, `namespace`, `type`, `layout`, `files` (names)
-- @treturn[2] nil
-- @treturn[2] fault `not_verified` with the first error of `istio.check`, `not_found`, `crl_unusable`, `too_large`
function secret.secret(directory, given)
  options.expect("tcpki.istio.secret", "directory", directory, "string")
  given = options.check("tcpki.istio.secret", given, { namespace = "string", layout = "string" })
  if given.layout and not layout.layouts[given.layout] then
    error(("tcpki.istio.secret: option 'layout' is '%s' (known: istio, kubernetes)"):format(given.layout), 2)
  end
  local namespace = given.namespace or "istio-system"
  if not is_label(namespace) then
    return fault.fail { code = "bad_name", message = "the namespace is no name of Kubernetes",
      hint = "use small letters, digits and dashes" }
  end
  local found, err = layout.read(directory)
  if not found then
    return nil, err
  end
  local report = require "tcpki.istio.check"(found)
  if not report.ok then
    return nil, layout.refused(report, directory)
  end
  local kind = given.layout and layout.layouts[given.layout] or found.layout
  local texts = found.texts
  if kind ~= found.layout then
    texts, err = converted(texts, found.layout, kind.name)
    if not texts then
      return nil, err
    end
  end
  return make(texts, kind, namespace, kind == found.layout and directory or nil)
end

return secret
