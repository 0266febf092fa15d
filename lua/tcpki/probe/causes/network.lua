-- Causes of the stages `resolve` and `connect`. See tcpki.probe.causes for the fields of a row.

return {
  { word = "unknown_host", stage = "resolve",
    sentence = "The host {host} does not resolve: {detail}.",
    cure = "{cure}.",
    needs = "the resolver's word that there is no such name; not its silence",
    source = "getaddrinfo" },

  { word = "refused", stage = "connect",
    sentence = "Nothing listens at {peer}: the connection was refused.",
    cure = "Check the port (a Temporal frontend has 7233) and that the server runs.",
    needs = "a reset in answer to the first packet",
    source = "TCP RST" },
  { word = "unreachable", stage = "connect",
    sentence = "{peer} cannot be reached: {reason}.",
    cure = "Check the route, the firewall and the security group.",
    needs = "no connection in time, or the system's word that there is no route",
    source = "connect(2)" },
  { word = "reset", stage = "connect",
    sentence = "{peer} reset the connection before TLS began.",
    cure = "Look for a firewall or a balancer in between; a private link also does this where it is not called by "
      .. "the name that it serves: pass server_name.",
    needs = "a reset before the server's first byte",
    source = "TCP RST; temporalio/documentation, connectivity" },
}
