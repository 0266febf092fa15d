-- Go: the language of the Cloud and of its command-line tools, as another party.
--
--   local program, reason = go.build(directory, source)     -- nil where there is no Go: pending(reason)
--   local output = program(input)                           -- fails the test if the program does
--
-- Only the standard library, and nothing is fetched.

local temporary = require "spec.support.temporary"

local go = {}

local function run(command, input, directory)
  local given = directory:file(nil, input or "")
  local said = directory:path()
  local handle = assert(io.popen(("%s <'%s' 2>'%s'"):format(command, given, said)))
  local output = handle:read "a"
  local ok = handle:close()
  return ok == true, output, temporary.content(said)
end

function go.build(directory, source)
  local found = os.execute "command -v go >/dev/null 2>&1"
  if not found then
    return nil, "there is no Go on the PATH"
  end
  local file = directory:file("program-" .. directory.count .. ".go", source)
  local binary = file:gsub("%.go$", "")
  local ok, output, errors = run((
    "cd '%s' && GO111MODULE=off GOTOOLCHAIN=local GOFLAGS= GOPROXY=off go build -o '%s' '%s'"):format(
    directory.root, binary, file), nil, directory)
  if not ok then
    error("go build: " .. output .. errors, 2)
  end
  return function(input)
    local fine, printed, said = run("'" .. binary .. "'", input, directory)
    if not fine then
      error("the Go program: " .. printed .. said, 2)
    end
    return printed
  end
end

return go
