--- Whether a certificate bears a name, as Go's crypto/x509 judges (Certificate.VerifyHostname), with its words.
-- @module tcpki.go.host
-- @local

-- Go does not list more names than this.
local LISTED = 100

-- An address in one form, so that two can be compared; nil where it is none.
local function address(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if a then
    for _, octet in ipairs { a, b, c, d } do
      if tonumber(octet) > 255 or #octet > 1 and octet:sub(1, 1) == "0" then
        return nil
      end
    end
    return text
  elseif not text:find ":" or text:find "[^%x:.]" or text:find ":::" or text:find "^:[^:]" or text:find "[^:]:$" then
    return nil
  end
  local head, tail = text:match "^(.-)::(.*)$"
  if tail and tail:find "::" then
    return nil
  end
  local groups = {}
  local function add(part)
    for group in part:gmatch "[^:]+" do
      local v4 = { group:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
      if v4[1] then
        groups[#groups + 1] = v4[1] * 256 + v4[2]
        groups[#groups + 1] = v4[3] * 256 + v4[4]
      else
        groups[#groups + 1] = tonumber(group, 16) or -1
      end
    end
  end
  add(head or text)
  if head then
    local before = #groups
    add(tail)
    for _ = #groups + 1, 8 do
      table.insert(groups, before + 1, 0)
    end
  end
  if #groups ~= 8 then
    return nil
  end
  local mapped = groups[6] == 0xffff
  for i, group in ipairs(groups) do
    if group < 0 or group > 0xffff then
      return nil
    end
    mapped = mapped and (i >= 6 or group == 0)
  end
  if mapped then
    return ("%d.%d.%d.%d"):format(groups[7] >> 8, groups[7] & 255, groups[8] >> 8, groups[8] & 255)
  end
  return ("%x:%x:%x:%x:%x:%x:%x:%x"):format(table.unpack(groups))
end

local function labels(name)
  local list = {}
  for label in (name .. "."):gmatch "(.-)%." do
    list[#list + 1] = label
  end
  return list
end

-- Whether a text is a host name, or a pattern of some, as Go has them.
local function valid(name, is_pattern)
  if not is_pattern then
    name = name:gsub("%.$", "")
  end
  if name == "" or name == "*" then
    return false
  end
  for i, label in ipairs(labels(name)) do
    if not (is_pattern and i == 1 and label == "*")
      and (label == "" or label:find "[^%w_-]" or label:sub(1, 1) == "-") then
      return false
    end
  end
  return true
end

local function matches(pattern, name)
  pattern = pattern:lower()
  if not (valid(name) and valid(pattern, true)) then
    return name ~= "" and name ~= "." and pattern == name
  end
  local ours, theirs = labels(pattern), labels((name:gsub("%.$", "")))
  if #ours ~= #theirs then
    return false
  end
  for i, label in ipairs(ours) do
    if label ~= theirs[i] and not (i == 1 and label == "*") then
      return false
    end
  end
  return true
end

--- Asks a certificate for a name.
-- @tparam certificate certificate
-- @tparam string name a host name, or an address
-- @treturn[1] boolean true
-- @treturn[2] boolean false
-- @treturn[2] string what Go says
return function(certificate, name)
  local names, addresses = {}, {}
  local alternatives = certificate:subject_alt_names()
  for _, alternative in ipairs(alternatives or {}) do
    if alternative.type == "dns" then
      names[#names + 1] = alternative.value
    elseif alternative.type == "ip" then
      -- As Go prints it: IPv4 in IPv6 is IPv4.
      local short = address(alternative.value)
      addresses[#addresses + 1] = short and short:find "%." and short or alternative.value
    end
  end
  local wanted = address(name:match "^%[(.+)%]$" or name)
  local lower = name:lower()
  for _, other in ipairs(wanted and addresses or names) do
    if wanted and address(other) == wanted or not wanted and matches(other, lower) then
      return true
    end
  end
  local shown = wanted and (name:match "^%[(.+)%]$" or name) or name
  local common = certificate:subject() and certificate:subject().CN
  if not alternatives and common and matches(common, lower) then
    return false, "x509: certificate relies on legacy Common Name field, use SANs instead"
  elseif wanted and #addresses == 0 then
    return false, ("x509: cannot validate certificate for %s because it doesn't contain any IP SANs"):format(shown)
  end
  local list = wanted and addresses or names
  local joined = table.concat(list, ", ")
  if #list >= LISTED then
    return false, ("x509: certificate is valid for %d %s, but none matched %s"):format(#list,
      wanted and "IP SANs" or "names", shown)
  elseif joined == "" then
    return false, "x509: certificate is not valid for any names, but wanted to match " .. shown
  end
  return false, ("x509: certificate is valid for %s, not %s"):format(joined, shown)
end
