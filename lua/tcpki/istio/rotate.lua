--- Moving a mesh from one root to another without an interruption.
--
-- What trusts must know both roots before anything is signed under the new one, and still know both while certificates
-- of the old one live. So there are four states: A; A and B trusted, A signs; A and B trusted, B signs; B.
--
-- A running istiod takes another root-cert.pem only with ISTIO_MULTIROOT_MESH=true, and only where one of the two
-- texts contains the other: up to Istio 1.30 byte by byte, from 1.31 certificate by certificate.
-- @module tcpki.istio

local fault = require "tcpki.fault"
local go = require "tcpki.go"
local layout = require "tcpki.istio.layout"
local options = require "tcpki.options"
local report = require "tcpki.report"
local rules = require "tcpki.istio.rules"
local secret = require "tcpki.istio.secret"
local store = require "tcpki.istio.store"

local rotate = {}

local step_methods, plan_methods = {}, {}
local step_metatable = { __name = "tcpki.istio.step", __index = step_methods }
local plan_metatable = { __name = "tcpki.istio.plan", __index = plan_methods }

-- The texts of a step, keys among them: not in the step, so that who prints all its fields prints no key.
local texts_of = setmetatable({}, { __mode = "k" })

local KEY_MODE, MODE = 384, 420

local titles = {
  { trusted = "A", signer = "A", title = "the mesh as it is",
    wait = "nothing: this is where it begins" },
  { trusted = "A and B", signer = "A", title = "trust both roots, sign under the old one",
    wait = "until every proxy and every other cluster trusts both roots: restart what does not follow by itself" },
  { trusted = "A and B", signer = "B", title = "trust both roots, sign under the new one",
    wait = "until no certificate of the old root is in use: the longest life of a workload's certificate (24 hours "
      .. "unless you set another), or restart the workloads" },
  { trusted = "B", signer = "B", title = "trust the new root alone",
    wait = "nothing: the old root can be destroyed once every cluster is here" },
}

function step_metatable:__tostring()
  local lines = { ("step %d: %s"):format(self.number, self.title),
    ("  trusted: %s; signs: %s"):format(table.concat(self.roots, " and "), self.signer) }
  if self.number > 1 then
    lines[#lines + 1] = ("  from the step before: %s"):format(self.contained and "every version of istiod takes it"
      or self.related and "istiod takes it from 1.31 on, older ones do not" or "istiod does not take it")
  end
  lines[#lines + 1] = report.wrap("then wait: " .. self.wait, "  ", "    ")
  return table.concat(lines, "\n")
end

function plan_metatable:__tostring()
  local lines = {}
  for i, step in ipairs(self) do
    lines[i] = tostring(step)
  end
  lines[#lines + 1] = "istiod needs ISTIO_MULTIROOT_MESH=true from step 2 to step 4"
  if self.same_subject then
    lines[#lines + 1] = "the roots have one subject: what finds an issuer by its name alone takes one for the other"
  end
  return table.concat(lines, "\n")
end

-- One text after the other, each to the byte: the line end between them belongs to neither.
local function joined(a, b)
  if a:find(b, 1, true) then
    return a
  elseif b:find(a, 1, true) then
    return b
  end
  return a .. (a:sub(-1) == "\n" and "" or "\n") .. b
end

local function contained(a, b)
  return a:find(b, 1, true) ~= nil or b:find(a, 1, true) ~= nil
end

local function set_of(text)
  local set = {}
  for _, block in ipairs(go.blocks(text)) do
    if block.label == "CERTIFICATE" then
      set[block.der] = true
    end
  end
  return set
end

local function within(a, b)
  for der in pairs(a) do
    if not b[der] then
      return false
    end
  end
  return next(a) ~= nil
end

local function related(a, b)
  a, b = set_of(a), set_of(b)
  return within(a, b) or within(b, a)
end

-- Adds to the report on some files what a running istiod says that has others.
local function check_change(findings, before, after, root)
  findings.contained, findings.related = contained(before, after), related(before, after)
  if before == after then
    return findings
  end
  local codes = { not findings.related and "root_unrelated" or not findings.contained and "root_not_contained"
    or nil, "multi_root" }
  for i = 1, 2 do
    local rule = rules.by_code[codes[i]]
    if rule then
      findings:add {
        code = rule.code, severity = rule.severity, source = rule.source, hint = rule.hint, path = root,
        message = rule.message:gsub("{root}", root), istiod = rule.says, who = ('istiod: "%s"'):format(rule.says),
      }
    end
  end
  return findings
end

local function names_of(text)
  local names = {}
  for i, view in ipairs(go.pool(text)) do
    names[i] = view.text
  end
  return names
end

-- Only what istiod reads: the marker of a CA that it made itself is not carried on.
local function wanted(texts, kind)
  local chosen = {}
  for _, name in ipairs(kind.needed) do
    chosen[name] = texts[name]
  end
  chosen[layout.CRL] = kind.crl and texts[kind.crl] or nil
  return chosen
end

local function read(where, directory)
  options.expect("tcpki.istio.rotate", ("option '%s'"):format(where), directory, "string")
  local found, err = layout.read(directory)
  if not found then
    return nil, err
  end
  local checked = require "tcpki.istio.check"(found)
  if not checked.ok then
    return nil, layout.refused(checked, directory)
  end
  return found
end

local function alike(from, to)
  if from.layout ~= to.layout then
    return fault.fail { code = "wrong_kind", path = to.directory,
      message = "the two directories have different layouts",
      hint = "make both with ca-cert.pem or both with tls.crt: tcpki.istio.secret converts" }
  end
  local crl = from.layout.crl
  local from_has = crl and (from.texts[crl] or "") ~= ""
  if crl and from_has ~= ((to.texts[crl] or "") ~= "") then
    return fault.fail { code = "crl_unusable", path = from_has and to.directory or from.directory,
      message = "one of the two directories has a ca-crl.pem, and the other has none",
      hint = "Envoy wants a CRL of every CA or none: add it to this one, or remove it from the other" }
  end
  return true
end

local function texts_for(state, from, to)
  local kind = from.layout
  local texts = wanted((state.signer == "A" and from or to).texts, kind)
  local a, b = from.texts[kind.root], to.texts[kind.root]
  texts[kind.root] = state.trusted == "A" and a or state.trusted == "B" and b or joined(a, b)
  if state.trusted == "A and B" and texts[layout.CRL] and texts[layout.CRL] ~= "" then
    texts[layout.CRL] = joined(from.texts[layout.CRL], to.texts[layout.CRL])
  end
  return texts
end

local function make_step(number, state, texts, before, kind)
  local root = texts[kind.root]
  local step = setmetatable({
    number = number, title = state.title, wait = state.wait, roots = names_of(root), layout = kind.name,
    signer = go.certificate(go.blocks(texts[kind.certificate])[1].der).text,
    report = require "tcpki.istio.check"(layout.of(texts)),
  }, step_metatable)
  if before then
    check_change(step.report, before[kind.root], root, kind.root)
    step.contained, step.related = step.report.contained, step.report.related
  end
  step.ok = step.report.ok
  texts_of[step] = texts
  return step
end

--- Whether an istiod that runs with one directory of CA files would go over to another one: all that `istio.check` asks
-- of the other, and whether the roots may be exchanged.
-- @function check_update
-- @tparam string from directory, as istiod has it
-- @tparam string to directory
-- @treturn[1] report as of `istio.check`, with `related` (one root-cert.pem holds all certificates of the other, which
-- istiod asks for from 1.31 on) and `contained` (it holds its text, to the byte, which it asked for up to 1.30)
-- @treturn[2] nil
-- @treturn[2] fault as for `istio.check`
function rotate.check_update(from, to)
  options.expect("tcpki.istio.check_update", "from", from, "string")
  options.expect("tcpki.istio.check_update", "to", to, "string")
  local old, new, err
  old, err = layout.read(from)
  if old then
    new, err = layout.read(to)
  end
  if not new then
    return nil, err
  end
  local findings = require "tcpki.istio.check"(new)
  return check_change(findings, old.texts[old.layout.root] or "", new.texts[new.layout.root] or "", new.layout.root)
end

--- Plans the way from one root to another: from a directory of CA files to another one of the same cluster, with
-- another root. Nothing is written.
--
-- The plan is an array of four steps, each with `number`, `title`, `roots` (the subjects that are trusted), `signer`,
-- `wait` (what to wait for behind it), `contained` and `related` (whether istiod takes it after the step before, up to
-- 1.30 and from 1.31), `report` (of `istio.check`) and `ok`. `tostring` of a step or of the plan is for people.
-- @function rotate
-- @tparam table given `from` and `to`, directories
-- @treturn[1] plan with `ok`, `same_subject` (whether the two roots have one name), and
-- `current(directory)`: the number of the step that a directory is at, or nil
-- @treturn[2] nil
-- @treturn[2] fault `not_verified` where istiod would not take one of the two, `wrong_kind`, `crl_unusable`, …
function rotate.rotate(given)
  given = options.check("tcpki.istio.rotate", given, { from = "string", to = "string" })
  local from, to, ok, err
  from, err = read("from", given.from)
  if from then
    to, err = read("to", given.to)
  end
  if to then
    ok, err = alike(from, to)
  end
  if not ok then
    return nil, err
  end
  local plan = setmetatable({ ok = true }, plan_metatable)
  local before
  for number, state in ipairs(titles) do
    local texts = texts_for(state, from, to)
    plan[number] = make_step(number, state, texts, before, from.layout)
    plan.ok = plan.ok and plan[number].ok
    before = texts
  end
  plan.same_subject = plan[1].roots[1] == plan[4].roots[1]
  for number = 2, #plan do
    plan[number].before = plan[number - 1]
  end
  return plan
end

local function same(texts, others)
  for name, text in pairs(texts) do
    if others[name] ~= text then
      return false
    end
  end
  for name in pairs(others) do
    if texts[name] == nil then
      return false
    end
  end
  return true
end

--- Which step a directory is at.
-- @function plan:current
-- @tparam string directory
-- @treturn[1] ?integer the number of the step; nil where it is at none
-- @treturn[2] nil
-- @treturn[2] fault
function plan_methods:current(directory)
  options.expect("plan:current", "directory", directory, "string")
  local found, err = layout.read(directory)
  if not found then
    return nil, err
  end
  for number = #self, 1, -1 do
    if same(texts_of[self[number]], found.texts) then
      return number
    end
  end
  return nil
end

--- Brings a directory to this step: it has to be at the step before, to the byte. All files are exchanged at once.
-- Where the directory is at this step already, nothing is done.
-- @function step:write
-- @tparam string directory
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] fault `busy` where it is at another step, or somebody else changed it; `not_verified` where istiod would
-- not take the step; as for `cluster:write`
function step_methods:write(directory)
  options.expect("step:write", "directory", directory, "string")
  local texts = texts_of[self]
  local found, err = layout.read(directory)
  if not found then
    return nil, err
  elseif same(texts, found.texts) then
    return true
  elseif not self.report.ok then
    return nil, layout.refused(self.report, directory)
  end
  local before = self.before and texts_of[self.before]
  if not before or not same(before, found.texts) then
    return fault.fail { code = "busy", path = directory,
      message = before and ("the directory is not at step %d"):format(self.number - 1)
        or "the directory is not at the beginning",
      hint = "plan:current(directory) says where it is; if it is nowhere, somebody else changed it: plan anew" }
  end
  local files = {}
  for name, text in pairs(texts) do
    files[#files + 1] = { name = name, text = text, mode = name == found.layout.key and KEY_MODE or MODE }
  end
  table.sort(files, function(a, b) return a.name < b.name end)
  local path = directory:gsub("(.)/+$", "%1")
  local parent, name = path:match "^(.*)/([^/]+)$"
  local written
  written, err = store.write(parent == "" and "/" or parent or ".", name or path, files, true, before)
  if not written then
    return nil, err
  end
  return true
end

--- The Secret of this step.
-- @function step:secret
-- @tparam[opt] table given `namespace`
-- @treturn[1] secret as of `istio.secret`, without `command`
-- @treturn[2] nil
-- @treturn[2] fault
function step_methods:secret(given)
  given = options.check("step:secret", given, { namespace = "string" })
  return secret.make(texts_of[self], layout.layouts[self.layout], given.namespace or "istio-system")
end

return rotate
