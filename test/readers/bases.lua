--- The good texts that are mangled, and what the readers need beside them. Keys and serial numbers
-- are new each time; the sizes of the DER are not: which length modulo 3 (so which padding) and
-- modulo 48 (a full last line) a certificate has decides much.
--
--    local bases = require("bases").make(directory)   -- also writes READERS_KEYS there

local certificate = require "tcpki.certificate"
local key = require "tcpki.key"

local bases = {}

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    assert(file:write(text))
    assert(file:close())
end

local function run(command)
    assert(os.execute(command), command)
end

-- All are authorities: Python's get_ca_certs lists no others. All have one key, so that whichever
-- certificate a reader takes for the first, the key belongs to it.
local function make(form)
    return assert(certificate.make {
        subject = { { "CN", form.name } }, serial = form.serial or "01",
        not_before = 1700000000, not_after = 4000000000,
        basic_constraints = { ca = true }, public_key = form.key,
        issuer = form.issuer, issuer_key = form.issuer_key or form.key,
    })
end

-- The length of an ECDSA signature varies: again, until the length is as wanted.
local function sized(form, modulus, remainder)
    for try = 1, 20000 do
        local name = form.name .. (modulus > 3 and ("x"):rep(try % 48) or "")
        local made = make {
            name = name, key = form.key, issuer = form.issuer, serial = form.serial,
        }
        if #made:der() % modulus == remainder then
            return made
        end
    end
    error "no certificate of the wanted length"
end

--- A list of { name=, text=, certificates={SHA-256 in hex, ...}, key=, pairs=, both= }: whether it
-- is a key, is mangled twice too, and is worth reading as certificates and as a key.
function bases.make(directory)
    run(("mkdir -p '%s/issued'"):format(directory))
    local keys = {
        ec = assert(key.generate { type = "ec" }),
        rsa = assert(key.generate { type = "rsa", bits = 2048 }),
        ed25519 = assert(key.generate { type = "ed25519" }),
    }
    for name, own in pairs(keys) do
        write(("%s/%s.key"):format(directory, name), own:pem())
        write(("%s/%s.pem"):format(directory, name), make { name = name, key = own }:pem())
    end

    local list = {}
    local function add_certificates(name, members, options)
        local base = {
            name = name, certificates = {}, pairs = options and options.pairs,
            both = options and options.both,
        }
        local text = { options and options.front or "" }
        for i, member in ipairs(members) do
            text[#text + 1] = member:pem()
            local hash = member:fingerprint "sha256":gsub(":", ""):lower()
            base.certificates[i] = hash
            write(("%s/issued/%s.pem"):format(directory, hash),
                make { name = "issued", key = keys.ec, issuer = member }:pem())
        end
        base.text = table.concat(text)
        list[#list + 1] = base
    end

    local single = sized({ name = "worker", key = keys.ec }, 3, 1)
    local authority = sized({ name = "authority", key = keys.ec }, 3, 0)
    local leaf = sized({ name = "leaf", key = keys.ec, issuer = authority, serial = "02" }, 3, 2)
    add_certificates("certificate", { single }, { both = true })
    add_certificates("full-lines", { sized({ name = "full", key = keys.ec }, 48, 0) })
    add_certificates("chain", { leaf, authority }, { pairs = true })
    add_certificates("bundle", {
        authority,
        sized({ name = "second", key = keys.ec }, 3, 1),
        sized({ name = "third", key = keys.ec }, 3, 2),
    })
    add_certificates("key-and-chain", { leaf, authority }, { front = keys.ec:pem(), both = true })

    local function add_key(name, text, options)
        list[#list + 1] = {
            name = name, text = text, certificates = {}, key = true,
            pairs = options and options.pairs, both = options and options.both,
        }
    end
    add_key("pkcs8-ec", keys.ec:pem(), { pairs = true, both = true })
    add_key("sec1", keys.ec:pem { format = "traditional" })
    add_key("pkcs8-rsa", keys.rsa:pem())
    add_key("pkcs1", keys.rsa:pem { format = "traditional" })
    add_key("pkcs8-ed25519", keys.ed25519:pem())
    add_key("pkcs8-encrypted", keys.ec:pem { passphrase = "secret" })
    local pipe = assert(io.popen(("openssl rsa -in '%s/rsa.key' -aes256 -traditional " ..
        "-passout pass:secret 2>/dev/null"):format(directory)))
    add_key("pkcs1-encrypted", pipe:read "a")
    assert(pipe:close())
    return list
end

return bases
