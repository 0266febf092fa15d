-- The one contract: the world returns nil and a fault, a mistake in the program throws.
--
--   local err = expect.fault("bad_pem", certificate.parse(text))
--   expect.throws("argument #1", certificate.parse, 42)

local assert = require "luassert"

local expect = {}

-- Returns the fault, once its code and its form are right.
function expect.fault(code, value, err, ...)
  if value ~= nil then
    error(("expected the fault %s, not %s"):format(code, tostring(value)), 2)
  end
  local metatable = getmetatable(err)
  if type(metatable) ~= "table" or metatable.__name ~= "tcpki.fault" then
    error(("expected a fault, not %s"):format(tostring(err)), 2)
  end
  if err.code ~= code then
    error(("expected the fault %s, not %s"):format(code, tostring(err)), 2)
  end
  assert.is_nil(..., "nothing follows the fault")
  assert.is_string(err.message)
  assert.is_true(#err.message > 0)
  assert.is_true(err.hint == nil or #err.hint > 0)
  local text = tostring(err)
  assert.is_truthy(text:find(err.message, 1, true), text)
  assert.is_truthy(text:find("(" .. code .. ")", 1, true), text)
  return err
end

-- Calls, and returns the message that was thrown, once it has every one of the plain texts.
function expect.throws(texts, call, ...)
  local ok, message = pcall(call, ...)
  if ok then error("nothing was thrown", 2) end
  assert.is_string(message)
  for _, text in ipairs(type(texts) == "table" and texts or { texts }) do
    if not message:find(text, 1, true) then
      error(("expected '%s' in: %s"):format(text, message), 2)
    end
  end
  return message
end

return expect
