--- The operations of a vault as commands: for `az`, and for `curl` with a token in the variable TOKEN.
--
-- Nothing is run here, and no command holds a key, a passphrase or a token: what is secret stays in a file or in a
-- variable of the environment. curl reads the token from its standard input, so that the list of processes does not
-- show it; a passphrase for az it does show, while az runs: import PEM, or a PFX without one, where others log in.
-- @module tcpki.keyvault.commands

local address = require "tcpki.keyvault.address"
local options = require "tcpki.options"
local shell = require "tcpki.shell"

local commands = {}

-- What stays a variable of the shell, in double quotes. printf is the shell's own, no process.
local CURL = [[printf 'Authorization: Bearer %s\n' "$TOKEN" | ]]
  .. "curl --fail-with-body --silent --show-error --header @- "

--- How the variable TOKEN is filled for the commands of curl.
commands.token = "TOKEN=$(az account get-access-token --resource https://vault.azure.net --query accessToken "
  .. "--output tsv)"

local function check(operation, given, needed, more)
  local where = "tcpki.keyvault.commands." .. operation
  local known = { vault = "string", name = "string", [more or "name"] = "string" }
  for _, name in ipairs(needed) do
    known[name] = "string"
  end
  given = options.check(where, given, known, 4)
  for _, name in ipairs { "vault", "name", table.unpack(needed) } do
    options.expect(where, ("option '%s'"):format(name), given[name], "string", 4)
  end
  if given.passphrase_env and not given.passphrase_env:find "^[%a_][%w_]*$" then
    error(("%s: option 'passphrase_env' must name a variable, not %q"):format(where, given.passphrase_env), 3)
  end
  address.version(where, given.version, 4)
  return given, address.of_vault(where, given.vault, 4), address.name(where, given.name, 4)
end

local function az(words, given, more, after)
  local all = { "az", "keyvault" }
  table.move(words, 1, #words, 3, all)
  for _, word in ipairs { "--vault-name", given.vault, "--name", given.name, table.unpack(more or {}) } do
    all[#all + 1] = word
  end
  local text, err = shell.command(all)
  return text and text .. (after or ""), err
end

local function curl(url, operation, name, body_path, version)
  local method, whole = address.of(url, operation, name, version)
  local words = { "--request", method }
  if body_path then
    table.move({ "--header", "Content-Type: application/json", "--data-binary", "@" .. body_path }, 1, 4, 3, words)
  end
  words[#words + 1] = whole
  local text, err = shell.command(words)
  return text and CURL .. text, err
end

local function both(first, first_error, second, second_error)
  if not first or not second then
    return nil, first_error or second_error
  end
  return { az = first, curl = second }
end

--- Begins a certificate.
-- @tparam table given `vault`, `name`, `policy_path` (a file with `policy:cli()`), `body_path` (a file with
-- `policy:body()`)
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault `bad_word`
function commands.create(given)
  local url, name
  given, url, name = check("create", given, { "policy_path", "body_path" })
  local first, err = az({ "certificate", "create" }, given, { "--policy", "@" .. given.policy_path })
  return both(first, err, curl(url, "create", name, given.body_path))
end

--- Shows the operation that waits, with its CSR.
-- @tparam table given `vault`, `name`
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault
function commands.pending(given)
  local url, name
  given, url, name = check("pending", given, {})
  local first, err = az({ "certificate", "pending", "show" }, given)
  return both(first, err, curl(url, "pending", name))
end

--- Merges the signed chain.
-- @tparam table given `vault`, `name`, `chain_path` (PEM, leaf first), `body_path` (a file with `merge_body`)
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault
function commands.merge(given)
  local url, name
  given, url, name = check("merge", given, { "chain_path", "body_path" })
  local first, err = az({ "certificate", "pending", "merge" }, given, { "--file", given.chain_path })
  return both(first, err, curl(url, "merge", name, given.body_path))
end

--- Gives up the operation that waits.
-- @tparam table given `vault`, `name`
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault
function commands.cancel(given)
  local url, name
  given, url, name = check("cancel", given, {})
  local first, err = az({ "certificate", "pending", "delete" }, given)
  return both(first, err, curl(url, "cancel", name))
end

--- Imports a key with its chain.
-- @tparam table given `vault`, `name`, `path` (the PEM or PFX), `body_path` (a file with `import_body`, mode 0600),
-- `passphrase_env` (the variable that holds the passphrase of the PFX)
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault
function commands.import(given)
  local url, name
  given, url, name = check("import", given, { "path", "body_path" }, "passphrase_env")
  local after = given.passphrase_env and (' --password "$%s"'):format(given.passphrase_env)
  local first, err = az({ "certificate", "import" }, given, { "--file", given.path }, after)
  return both(first, err, curl(url, "import", name, given.body_path))
end

--- Fetches the secret, as `keyvault.secret` reads it.
-- @tparam table given `vault`, `name`, `version`
-- @treturn[1] table `az`, `curl`
-- @treturn[2] nil
-- @treturn[2] fault
function commands.secret(given)
  local url, name
  given, url, name = check("secret", given, {}, "version")
  local more = given.version and { "--version", given.version }
  local first, err = az({ "secret", "show" }, given, more)
  return both(first, err, curl(url, "secret", name, nil, given.version))
end

return commands
