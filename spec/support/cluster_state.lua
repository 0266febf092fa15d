-- Whether a directory of a cluster is one that a server can start on and every client of it is let in by, whatever
-- moment it was left at: nil, or what is wrong. By other eyes than those of the rotation: openssl's, or, where it
-- counts, those of the verifier.

local openssl = require "spec.support.openssl"
local tcpki = require "tcpki"
local temporary = require "spec.support.temporary"

local cluster_state = {}

local function names_in(path)
  local handle = assert(io.popen(("ls -A '%s'"):format(path)))
  local names = {}
  for name in handle:lines() do names[#names + 1] = name end
  handle:close()
  return names
end

-- Every pair with who has to take it: path without the ending, file of roots, purpose, name.
local function expected(path, host)
  local list = {
    { "certs/frontend", { "certs/server-ca-1.pem", "certs/server-ca-2.pem" }, "server", host },
    { "certs/internode", { "certs/server-ca-1.pem", "certs/server-ca-2.pem" }, "server", "internode" },
    { "certs/internode", { "certs/server-ca-1.pem", "certs/server-ca-2.pem" }, "client" },
    { "certs/system-worker", { "certs/client-ca-1.pem", "certs/client-ca-2.pem" }, "client" },
  }
  for _, name in ipairs(names_in(path .. "/clients")) do
    if name:sub(1, 1) ~= "." then
      list[#list + 1] = { "clients/" .. name .. "/client", { "certs/client-ca-1.pem", "certs/client-ca-2.pem" },
        "client" }
      list[#list + 1] = { "certs/frontend", { "clients/" .. name .. "/server-ca.pem" }, "server", host }
    end
  end
  return list
end

local function text_of(path, names)
  local texts = {}
  for i, name in ipairs(names) do texts[i] = temporary.content(path .. "/" .. name) end
  return table.concat(texts)
end

function cluster_state.wrong(path, host)
  for _, case in ipairs(expected(path, host)) do
    local pair = path .. "/" .. case[1]
    local chain = assert(tcpki.chain.parse(temporary.content(pair .. ".pem")))
    if not assert(tcpki.key.parse(temporary.content(pair .. ".key"))):matches(chain[1]) then
      return case[1] .. " is no pair"
    end
    local ok, err = chain:verify { roots = assert(tcpki.bundle.parse(text_of(path, case[2]))), purpose = case[3],
      name = case[4] }
    if not ok then return ("%s: %s"):format(case[1], tostring(err)) end
  end
end

function cluster_state.wrong_for_openssl(path, host)
  for _, case in ipairs(expected(path, host)) do
    local pair = path .. "/" .. case[1]
    if openssl.run(("x509 -in %s.pem -noout -pubkey"):format(pair))
      ~= openssl.run(("pkey -in %s.key -pubout"):format(pair)) then
      return case[1] .. " is no pair"
    end
    local roots = os.tmpname()
    assert(tcpki.file.write(roots, text_of(path, case[2]), { overwrite = true }))
    local ok, output, errors = openssl.try(("verify -x509_strict -no-CApath -no-CAstore -purpose ssl%s %s -CAfile %s "
      .. "-untrusted %s.pem %s.pem"):format(case[3], case[4] and "-verify_hostname " .. case[4] or "", roots, pair,
      pair))
    os.remove(roots)
    if not ok then return ("%s: %s%s"):format(case[1], output, errors) end
  end
end

return cluster_state
