--- Why the server is not accepted here: its certificate, or what it speaks in the place of TLS.
-- @module tcpki.probe.judge.server
-- @local

local path = require "tcpki.probe.path"
local roots = require "tcpki.probe.roots"
local span = require("tcpki.probe.report").span

local server = {}

-- X509_V_ERR numbers.
local verify_words = {
  [9] = "server_not_yet_valid", [10] = "server_expired", [18] = "server_self_signed",
  [26] = "server_wrong_usage", [66] = "server_weak_signature", [67] = "server_weak_signature",
  [68] = "server_weak_signature",
}

-- ---- whose CA was given ----

-- Where the CA of one's own certificate was given for the server's, or one of those that the server accepts clients of:
-- all of them, or one among others.
local function own_roots(context, trace)
  local given = context.root_certificates or {}
  local own = roots.of_client(given, context.certificates)
  if #own > 0 then return own, given end
  local names = {}
  for _, name in ipairs(trace.ca_names or {}) do names[name] = true end
  for _, root in ipairs(given) do
    if names[tostring(root:subject())] then own[#own + 1] = root end
  end
  return own, given
end

-- Whether a certificate that the server sent says that one of the CAs given issued it: then that CA is meant for the
-- server, and it has another key than the one that is given.
local function names_root(context)
  for _, certificate in ipairs(context.peer_certificates or {}) do
    for _, root in ipairs(context.root_certificates or {}) do
      if certificate:issuer_der() == root:subject_der() then return root end
    end
  end
end

local function of_own_root(context, trace)
  local own, given = own_roots(context, trace)
  if #own == 0 or names_root(context) then return nil end
  local about = { detail = trace.verification.message, ca = tostring(own[1]:subject()) }
  if #own < #given then
    about.certain, about.candidates = false, { "client_ca_as_server_root", "server_ca_untrusted" }
  end
  return "client_ca_as_server_root", about
end

-- ---- what the server sends of its chain ----

local function organization_of(name)
  for _, entry in ipairs(name) do
    if entry.type == "O" then return entry.value end
  end
end

-- Whether one of the CAs given belongs to the organization of the issuer that is not there.
local function is_of_house(context, leaf)
  local house = organization_of(leaf:issuer())
  for _, root in ipairs(context.root_certificates or {}) do
    if house and organization_of(root:subject()) == house then return true end
  end
  return false
end

local AUTHORITY_INFORMATION = "1.3.6.1.5.5.7.1.1"

-- A public CA says where its certificate is to be had; and no public root issues a server's certificate itself.
local function tells_of_issuer(leaf)
  for _, extension in ipairs(leaf:extensions() or {}) do
    if extension.oid == AUTHORITY_INFORMATION then return true end
  end
  return false
end

-- Of a leaf that is alone: is the certificate of its issuer missing, or is its issuer a root that is not trusted?
local function of_lone_leaf(context, leaf)
  local way = path.of({ leaf }, context.groups or {})
  local issuer = tostring(leaf:issuer())
  local first = way.beyond[1]
  if way.is_root_below then return nil end
  if first then
    return "server_intermediate_missing", { server_issuer = issuer, detail = "it is in " .. first.where }
  end
  local is_likely = path.sounds_intermediate(issuer) or is_of_house(context, leaf)
    or not context.has_roots and tells_of_issuer(leaf)
  local word, other = "server_intermediate_missing", "server_ca_untrusted"
  if not is_likely then word, other = other, word end
  return word, {
    certain = false, candidates = { word, other }, server_issuer = issuer,
    detail = is_likely and "it sends the leaf alone" or nil,
  }
end

local function of_chain(context, trace)
  local sent = context.peer_certificates or {}
  local root = names_root(context)
  if root then
    return "server_ca_untrusted", { detail = ("the CA given with the name %s has another key"):format(root:subject()) }
  end
  local leaf = sent[1]
  if leaf and #sent == 1 and not path.is_self_issued(leaf) then return of_lone_leaf(context, leaf) end
  return "server_ca_untrusted", { detail = trace.verification.message }
end

-- ---- the clock ----

-- A certificate of the future says that a clock is wrong, and how far; one that is past says by how much.
local function clock_of(context, word)
  local leaf = context.peer_certificates and context.peer_certificates[1]
  if not leaf or not context.now then return "" end
  if word == "server_not_yet_valid" and leaf:not_before() > context.now then
    return (": it begins in %s by the clock here, which is at least that far behind, or else the clock of its CA is "
      .. "ahead"):format(span(leaf:not_before() - context.now))
  elseif word == "server_expired" and leaf:not_after() < context.now then
    return (", %s ago by the clock here"):format(span(context.now - leaf:not_after()))
  end
  return ""
end

local may_be_own_root = { server_ca_untrusted = true, server_self_signed = true }

--- The cause of a server's certificate that is refused here.
-- @tparam table context
-- @tparam table trace with `verification`
-- @treturn string word
-- @treturn table
function server.untrusted(context, trace)
  local verification = trace.verification
  local word, about = verify_words[verification.error] or "server_ca_untrusted", {}
  if may_be_own_root[word] then
    local own, more = of_own_root(context, trace)
    if own then return own, more end
  end
  if word == "server_ca_untrusted" then
    local other, more = of_chain(context, trace)
    word, about = other or word, more or about
  end
  about.detail = about.detail or verification.message
  about.cure = context.has_roots
    and "Pass as server_ca the CA that issued the server's certificate"
    or "Pass that CA as server_ca: without it, the system's CAs are asked"
  about.blamed = verification.subject or context.server_subject
  about.clock = clock_of(context, word)
  return word, about
end

-- ---- what is no TLS ----

-- The greetings of others, and what to call them.
local greetings = {
  { "^SSH%-", "the greeting of SSH" },
  { "^220[ -]", "the greeting of SMTP or FTP" },
  { "^%* OK", "the greeting of IMAP" },
  { "^%+OK", "the greeting of POP3" },
  { "^%-ERR", "an error of Redis" },
  { "^.\0\0\0\10[%d.]+", "the greeting of MySQL" },
  { "^E\0\0\0", "an error of PostgreSQL" },
  { "^RFB ", "the greeting of VNC" },
}

-- Where Temporal has HTTP (temporalio/temporal config/development.yaml, the Web UI, the metrics).
local http_ports = { [7243] = true, [8080] = true, [8088] = true, [8233] = true, [9090] = true }

--- The cause of bytes that are no TLS; nil where they are.
-- @tparam table context
-- @tparam string bytes the first of the server
-- @treturn ?string word
-- @treturn ?table
function server.plain(context, bytes)
  for _, greeting in ipairs(greetings) do
    if bytes:find(greeting[1]) then return "tls_to_wrong_port", { detail = greeting[2] } end
  end
  if bytes:find "^HTTP/" then
    if http_ports[context.port] then return "tls_to_wrong_port", { detail = "HTTP/1" } end
    return "plaintext_server", { detail = "HTTP/1" }
  elseif bytes:find "^\0\0.\4\0" then -- a SETTINGS frame
    return "plaintext_server", { detail = "HTTP/2 without TLS" }
  end
  local first = bytes:byte(1)
  if first and (first < 20 or first > 23) then
    return "plaintext_server", { detail = "something that is not TLS" }
  end
end

-- Hosts of private links, which serve by the name of the namespace: temporalio/documentation, connectivity.
local link_names = { "^vpce%-", "%.vpce%.amazonaws%.com$", "%.p%.googleapis%.com$", "%.privatelink%." }

--- Whether a name is that of a private link, by which no Temporal endpoint is called.
-- @tparam ?string name
-- @treturn boolean
function server.is_link(name)
  for _, pattern in ipairs(link_names) do
    if name and name:lower():find(pattern) then return true end
  end
  return false
end

return server
