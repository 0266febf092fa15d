-- The openssl command: another party that reads what we wrote and writes what we read.
--
--   openssl.run("x509 -noout -serial", pem)   -- output; fails the test if openssl does
--   openssl.try("verify leaf.pem")            -- ok, output, errors

local temporary = require "spec.support.temporary"

local openssl = {}

-- A configuration of its own: the one of the machine must not change the outcome. What openssl
-- says on stderr (progress, "writing RSA key") is no output.
function openssl.try(arguments, input)
  local said = os.tmpname()
  local given = "/dev/null"
  if input then
    given = os.tmpname()
    local file = assert(io.open(given, "wb"))
    file:write(input)
    file:close()
  end
  local handle = assert(io.popen(("OPENSSL_CONF=/dev/null openssl %s 2>%s <%s")
    :format(arguments, said, given)))
  local output = handle:read "a"
  local ok = handle:close()
  local errors = temporary.content(said)
  os.remove(said)
  if input then os.remove(given) end
  return ok == true, output, errors
end

function openssl.run(arguments, input)
  local ok, output, errors = openssl.try(arguments, input)
  if not ok then error(("openssl %s: %s%s"):format(arguments, output, errors), 2) end
  return output
end

-- `openssl req` and `openssl ca` with a configuration written out.
function openssl.configuration(directory, text)
  return directory:file(nil, "[req]\ndistinguished_name = dn\nprompt = no\n" .. text)
end

-- Whether `openssl verify -x509_strict` takes the chain; the arguments are PEM texts.
function openssl.verify(leaf, roots, untrusted, more)
  local directory = temporary.directory()
  local arguments = { "verify -x509_strict -auth_level 2", more or "" }
  arguments[#arguments + 1] = "-no-CApath -no-CAstore -CAfile " .. directory:file(nil, roots)
  if untrusted then
    arguments[#arguments + 1] = "-untrusted " .. directory:file(nil, untrusted)
  end
  arguments[#arguments + 1] = directory:file(nil, leaf)
  local ok, output, errors = openssl.try(table.concat(arguments, " "))
  directory:remove()
  return ok, output .. errors
end

return openssl
