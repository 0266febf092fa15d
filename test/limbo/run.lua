--- Runs the x509-limbo and BetterTLS cases through chain:verify and counts how many verdicts agree.
--
-- lua5.4 test/limbo/run.lua FILE.jsonl.xz [--list]
--
-- The file has a case a line (its README has the fields). A run fails where fewer verdicts agree than the pinned
-- figures below: libcrypto's own disagreements stay, a new one of ours does not pass.

local cjson = require "cjson"
local tcpki = require "tcpki"

-- What must agree at least, by family, with OpenSSL 3.0: the disagreements left are listed with --list.
local pinned = { bettertls = 9572, other = 158 }

local path, mode = arg[1], arg[2]
if not path then
  io.stderr:write "usage: lua5.4 test/limbo/run.lua FILE.jsonl.xz [--list]\n"
  os.exit(2)
end

local function certificates_of(texts)
  local certificates = {}
  for i, text in ipairs(texts) do
    local certificate, err = tcpki.certificate.parse(text)
    if not certificate then
      return nil, err
    end
    certificates[i] = certificate
  end
  return certificates
end

local function given(value)
  return value ~= cjson.null and value or nil
end

local purposes = { sslserver = "server", sslclient = "client" }

local function verify(case)
  local leaf, err = tcpki.certificate.parse(case.leaf)
  if not leaf then
    return nil, err
  end
  local intermediates
  intermediates, err = certificates_of(case.inter)
  if not intermediates then
    return nil, err
  end
  local roots
  roots, err = certificates_of(case.trust)
  if not roots then
    return nil, err
  end
  local crls
  if #case.crls > 0 or #case.crl_flags > 0 then
    crls = {}
    for i, text in ipairs(case.crls) do
      crls[i], err = tcpki.crl.parse(text)
      if not crls[i] then
        return nil, err
      end
    end
  end
  local chain
  chain, err = tcpki.chain.new(intermediates, { leaf = leaf })
  if not chain then
    return nil, err
  end
  return chain:verify {
    roots = tcpki.bundle.new(roots),
    purpose = purposes[case.purpose] or "any",
    name = given(case.name),
    at = given(case.at) and math.floor(case.at),
    crls = crls,
    partial = case.partial_chain,
    depth = given(case.depth),
  }
end

local function name_of(case)
  local name = given(case.name)
  case.name = name and { type = name.kind, value = name.value } or cjson.null
end

local counts = {}
local family_counts = { bettertls = { agree = 0, all = 0 }, other = { agree = 0, all = 0 } }
local disagreements = {}

local file = assert(io.popen(("xz -dc '%s'"):format(path:gsub("'", "'\\''"))))
for line in file:lines() do
  local case = cjson.decode(line)
  name_of(case)
  local ran, ok, err = pcall(verify, case)
  if not ran then
    ok, err = nil, "threw: " .. tostring(ok)
  end
  local agree = (ok and "OK" or "FAIL") == case.expect
  local group = case.id:match "^bettertls::%w+" or case.id:match "^[^:]+"
  counts[group] = counts[group] or { agree = 0, all = 0 }
  local family = case.id:find "^bettertls::" and "bettertls" or "other"
  for _, count in ipairs { counts[group], family_counts[family] } do
    count.all = count.all + 1
    count.agree = count.agree + (agree and 1 or 0)
  end
  if not agree then
    table.insert(disagreements, ("%s: expected %s, got %s"):format(case.id, case.expect, ok and "OK"
      or tostring(err):gsub("\n.*", "")))
  end
end
file:close()

local groups = {}
for group in pairs(counts) do
  table.insert(groups, group)
end
table.sort(groups)
for _, group in ipairs(groups) do
  print(("%-28s %5d of %5d agree"):format(group, counts[group].agree, counts[group].all))
end
if mode == "--list" then
  table.sort(disagreements)
  print(table.concat(disagreements, "\n"))
end
local failed = 0
for family, count in pairs(family_counts) do
  local enough = count.agree >= pinned[family]
  failed = failed + (enough and 0 or 1)
  print(("%s %s: %d of %d agree, pinned at %d"):format(enough and "ok" or "FAILED", family, count.agree, count.all,
    pinned[family]))
end
os.exit(failed == 0)
