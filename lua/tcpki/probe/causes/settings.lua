-- Causes of the stage `settings`: the server judges the client's certificate. See tcpki.probe.causes for the fields of
-- a row.

return {
  { word = "ok_not_enforced", stage = "settings",
    sentence = "The server answered, and it also lets in {who}: nothing is proven. {evidence}",
    cure = "Have the server require and verify client certificates: for Temporal, requireClientAuth: true with "
      .. "clientCaFiles under global.tls.frontend.server.",
    needs = "a control that was let in: a second connection without a certificate, or with one that must be refused",
    source = "temporalio/temporal: without requireClientAuth the server does not ask" },
  { word = "ok_not_asked", stage = "tls",
    sentence = "The server answered, and never asked for a certificate: nothing is proven.",
    cure = "Have the server require client certificates: for Temporal, requireClientAuth: true with clientCaFiles "
      .. "under global.tls.frontend.server.",
    needs = "a trace without a CertificateRequest",
    source = "RFC 8446, 4.3.2; temporalio/temporal tls_config_helper.go" },
  { word = "rotation_not_loaded", stage = "settings",
    sentence = "After the step {step} the server {detail}. {evidence}",
    cure = "{cure}.",
    needs = "probes with the old and the new certificate, or the list of CAs that the server is to trust "
      .. "(accepted) and a refusal that this list does not explain",
    source = "temporalio/temporal local_store_cert_provider.go: of each CA file it compares the first certificate" },

  { word = "no_client_certificate", stage = "settings",
    sentence = "The server requires a client certificate, and {given}. {evidence}",
    cure = "{cure}.",
    needs = "no certificate was given, or none was sent because its key fits no signature algorithm of the request; "
      .. "and the server asked for one and ended the connection",
    source = "RFC 8446, alert 116" },
  { word = "client_ca_unknown", stage = "settings",
    sentence = "The server does not know {issuer}, the issuer of the certificate {subject}"
      .. "{accepted}. {evidence}",
    cure = "Add the issuer to the CAs that the server trusts for clients, or have the certificate issued by one of "
      .. "them. After a rotation, check that the server has loaded it, and restart the clients that read their files "
      .. "once.",
    needs = "alert 48, or a list of CA names without an issuer of the chain; and that no intermediate is missing: the "
      .. "file goes up to a root, or the root is at hand (server_ca, accepted, the server's own chain). Where it is "
      .. "not, an intermediate that is missing cannot be ruled out",
    source = "RFC 8446, alert 48; CA names of the CertificateRequest" },
  { word = "client_ca_twin", stage = "settings",
    sentence = "The server trusts another CA with the name of the issuer, {issuer}. {evidence}",
    cure = "Have the certificate issued by the present CA of that name, or add the CA that issued it to those that "
      .. "the server trusts for clients.",
    needs = "the server's CA of that name (accepted), or alert 48 or 51 although the name is listed, from a server "
      .. "whose stack is known to send it for nothing else",
    source = "spec/stacks_matrix.lua: rustls sends decrypt_error, most others nothing of their own" },
  { word = "client_self_signed", stage = "settings",
    sentence = "The certificate {subject} is self-signed, and the server does not trust it{accepted}. {evidence}",
    cure = "Have it issued by a CA that the server trusts for clients.",
    needs = "a certificate that is its own issuer, and alert 48 or a refusal without a reason",
    source = "X509_V_ERR 18; spec/stacks_matrix.lua: the same alert as for an unknown CA" },
  { word = "client_intermediate_missing", stage = "settings",
    sentence = "The server does not know the issuer of the certificate {subject}. {file} holds {gap}{under}. "
      .. "{evidence}",
    cure = "Append the certificate of {missing} to {file} (leaf first).",
    needs = "the issuer that is not in the file is at hand elsewhere and is not a root (server_ca, accepted, the "
      .. "server's own chain), or the leaf's key identifier names its issuer's issuer; where neither is so, the "
      .. "issuer could be a root that the server does not know",
    source = "RFC 8446, 4.4.2; spec/stacks_matrix.lua: the same alert as for an unknown CA" },
  { word = "client_intermediate_expired", stage = "settings",
    sentence = "The certificate of {blamed}, an issuer in {file}, {issuer_expiry}. {evidence}",
    cure = "Replace it in {file} by the renewed certificate of that CA; where the CA was not renewed, have the "
      .. "certificate issued anew.",
    needs = "an intermediate in the file that is past its date by the clock here, and alert 45 or a refusal without a "
      .. "reason",
    source = "RFC 8446, alert 45" },
  { word = "client_expired", stage = "settings",
    sentence = "The certificate {subject} {expiry}. {evidence}",
    cure = "Renew it, and restart or reload what uses it.",
    needs = "a certificate that is past its date by the clock here, and alert 45 or a refusal without a reason",
    source = "RFC 8446, alert 45" },
  { word = "client_not_yet_valid", stage = "settings",
    sentence = "The certificate {subject} {start}. {evidence}",
    cure = "Compare the clocks of this machine, of the server and of the CA, or wait.",
    needs = "a certificate before its date by the clock here, and alert 45, alert 42 or a refusal without a reason",
    source = "RFC 8446, alert 45 of Go" },
  { word = "client_wrong_usage", stage = "settings",
    sentence = "The certificate {subject} may not be used by a client{usage}. {evidence}",
    cure = "Reissue it with extended key usage clientAuth and key usage digitalSignature.",
    needs = "alert 43, or alert 42 or a refusal without a reason by a server that is known to look at the usage",
    source = "RFC 5280, 4.2.1.12" },
  { word = "client_weak_signature", stage = "settings",
    sentence = "The certificate {subject} is signed or keyed too weakly: {detail}. {evidence}",
    cure = "Reissue it with SHA-256 and a key of 2048 bits (RSA) or 256 bits (EC).",
    needs = "OpenSSL's refusal to send it, or a signature with SHA-1 or MD5 and a refusal that has no other ground",
    source = "OpenSSL security level 2; spec/stacks_matrix.lua" },
  { word = "client_version_1", stage = "settings",
    sentence = "The certificate {subject} is X.509 version {version}, which servers over rustls refuse. {evidence}",
    cure = "Issue it again as version 3 (openssl x509 -req with -extfile and -extensions); the SDKs over rustls "
      .. "(Python, TypeScript, .NET, Ruby) refuse to send it, too.",
    needs = "alert 46 from rustls, and a certificate that is not of version 3",
    source = "spec/stacks_matrix.lua: rustls says UnsupportedCertVersion" },
  { word = "client_revoked", stage = "settings",
    sentence = "The server holds the certificate {subject} for revoked. {evidence}",
    cure = "Use another certificate.",
    needs = "alert 44",
    source = "RFC 8446, alert 44" },
  { word = "client_refused", stage = "settings",
    sentence = "The server refused the connection after it had seen the certificate {subject}, "
      .. "and did not tell why. {evidence}",
    cure = "Ask the server's log; compare the issuer {issuer} with the CAs that it trusts now, by key and not by name "
      .. "(openssl x509 -noout -pubkey).",
    needs = "nothing: it is never certain, and its candidates are what it may be",
    source = "spec/stacks_matrix.lua: gRPC core, Node and HTTP proxies send no alert" },
  { word = "http_400_certificate", stage = "settings",
    sentence = "An HTTP server in front, such as nginx, took the connection and refused the certificate {subject}. "
      .. "{evidence}",
    cure = "Look into its error log, and compare {issuer} with its ssl_client_certificate.",
    needs = "the page that came with HTTP 400: it speaks of the certificate",
    source = "nginx, ssl_verify_client: errors 495 and 496" },

  { word = "closed_after_tls", stage = "settings",
    sentence = "{peer} closed the connection after TLS, without having asked for a certificate.",
    cure = "Check that this port serves gRPC.",
    needs = "a trace without a CertificateRequest",
    source = "the trace" },
  { word = "silent_after_tls", stage = "settings",
    sentence = "{peer} finished TLS and then said nothing within {waited}.",
    cure = "Check that this port serves HTTP/2, and whether the server hangs.",
    needs = "a trace",
    source = "RFC 9113, 3.4: the server's SETTINGS come first" },
  { word = "proxy_refused", stage = "settings",
    sentence = "A proxy or balancer in front of the frontend answered for it: HTTP {http}{detail}.",
    cure = "Look at the proxy at {peer}: its route to the frontend, whether it forwards gRPC (HTTP/2) to it, and whom "
      .. "it lets through.",
    needs = "an HTTP status of a proxy (401, 403, 407, 421, 429, 5xx) where a gRPC status belongs",
    source = "grpc/grpc doc/http-grpc-status-mapping.md" },
  { word = "not_grpc", stage = "settings",
    sentence = "{peer} speaks TLS but not gRPC: {detail}.",
    cure = "Check the port, and what the proxy in front of the frontend forwards.",
    needs = "bytes, or an HTTP answer, that no gRPC server sends",
    source = "RFC 9113, 3.4" },
}
