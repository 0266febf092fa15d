import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.cert.CertStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.CertPathTrustManagerParameters;
import javax.net.ssl.ExtendedSSLSession;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SNIMatcher;
import javax.net.ssl.SNIServerName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;
import javax.net.ssl.X509TrustManager;

/**
 * JSSE: requires a client certificate, and answers each HTTP/2 request with one GetSystemInfoResponse.
 *
 * <p>java Server DIRECTORY NAME... (a NAME is a host with NAME.pem and NAME.key of its own)
 */
public final class Server {
    private final Path directory;
    private final CertificateFactory factory = CertificateFactory.getInstance("X.509");

    private Server(String directory) throws GeneralSecurityException {
        this.directory = Path.of(directory);
    }

    private List<? extends Certificate> certificates(String name) throws IOException, GeneralSecurityException {
        try (InputStream stream = new FileInputStream(directory.resolve(name).toFile())) {
            return List.copyOf(factory.generateCertificates(stream));
        }
    }

    private PrivateKey key(String name) throws IOException, GeneralSecurityException {
        String text = Files.readString(directory.resolve(name)).replaceAll("-----[^-]+-----|\\s", "");
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }

    /** A pair for each name that a client asks for, and `server` for all other names. */
    private static final class Names extends X509ExtendedKeyManager {
        private final Map<String, X509Certificate[]> chains = new HashMap<>();
        private final Map<String, PrivateKey> keys = new HashMap<>();

        void add(Server server, String name) throws IOException, GeneralSecurityException {
            chains.put(name, server.certificates(name + ".pem").toArray(new X509Certificate[0]));
            keys.put(name, server.key(name + ".key"));
        }

        @Override
        public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
            if (!type.equals("EC")) {
                return null;
            }
            ExtendedSSLSession session = (ExtendedSSLSession) ((SSLSocket) socket).getHandshakeSession();
            for (SNIServerName name : session.getRequestedServerNames()) {
                String text = ((SNIHostName) name).getAsciiName();
                if (chains.containsKey(text)) {
                    return text;
                }
            }
            return "server";
        }

        @Override
        public X509Certificate[] getCertificateChain(String alias) {
            return chains.get(alias);
        }

        @Override
        public PrivateKey getPrivateKey(String alias) {
            return keys.get(alias);
        }

        @Override
        public String[] getServerAliases(String type, Principal[] issuers) {
            return chains.keySet().toArray(new String[0]);
        }

        @Override
        public String[] getClientAliases(String type, Principal[] issuers) {
            return null;
        }

        @Override
        public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
            return null;
        }
    }

    /** What the JDK trusts, with the lists of revoked certificates; what no list is about is not checked. */
    private TrustManager[] trust() throws IOException, GeneralSecurityException {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        for (Certificate root : certificates("client-ca.pem")) {
            roots.setCertificateEntry("root" + roots.size(), root);
        }
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(roots, new X509CertSelector());
        try (InputStream stream = new FileInputStream(directory.resolve("crl.pem").toFile())) {
            parameters.addCertStore(CertStore.getInstance("Collection",
                new CollectionCertStoreParameters(factory.generateCRLs(stream))));
        }
        parameters.setRevocationEnabled(true);
        TrustManagerFactory made = TrustManagerFactory.getInstance("PKIX");
        made.init(new CertPathTrustManagerParameters(parameters));
        return made.getTrustManagers();
    }

    /** What is copied into many a program: it asks for a certificate, and takes any. */
    private static final class Any implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }

    // RFC 9113, 4.1
    private static byte[] frame(int kind, int flags, int stream, byte[] payload) {
        return ByteBuffer.allocate(9 + payload.length).put((byte) 0).putShort((short) payload.length)
            .put((byte) kind).put((byte) flags).putInt(stream).put(payload).array();
    }

    // Literal fields without Huffman or index: RFC 7541, 6.2.2.
    private static byte[] fields(String... list) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int i = 0; i < list.length; i++) {
            if (i % 2 == 0) {
                bytes.write(0);
            }
            bytes.write(list[i].length());
            bytes.writeBytes(list[i].getBytes(StandardCharsets.ISO_8859_1));
        }
        return bytes.toByteArray();
    }

    private static byte[] answer(int stream) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(frame(1, 4, stream, fields(":status", "200", "content-type", "application/grpc")));
        bytes.writeBytes(frame(0, 0, stream, "\0\0\0\0\b\n\6stacks".getBytes(StandardCharsets.ISO_8859_1)));
        bytes.writeBytes(frame(1, 5, stream, fields("grpc-status", "0")));
        return bytes.toByteArray();
    }

    private static void serve(SSLSocket socket) {
        try (socket) {
            socket.setTcpNoDelay(true);
            socket.startHandshake();
            socket.getOutputStream().write(frame(4, 0, 0, new byte[0]));
            DataInputStream input = new DataInputStream(socket.getInputStream());
            input.readFully(new byte[24]);
            while (true) {
                int length = input.readUnsignedByte() << 16 | input.readUnsignedShort();
                int kind = input.readUnsignedByte();
                boolean marked = (input.readUnsignedByte() & 1) == 1;
                int stream = input.readInt();
                byte[] payload = new byte[length];
                input.readFully(payload);
                if (kind <= 1 && marked) { // the request ends
                    socket.getOutputStream().write(answer(stream));
                } else if (kind == 4 && !marked) {
                    socket.getOutputStream().write(frame(4, 1, 0, new byte[0]));
                } else if (kind == 6 && !marked) {
                    socket.getOutputStream().write(frame(6, 1, 0, payload));
                }
            }
        } catch (IOException e) {
            // refused, or gone
        }
    }

    private static void listen(String label, SSLContext context, String version, SNIMatcher matcher,
            String... protocols) throws IOException {
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        SSLParameters parameters = server.getSSLParameters();
        parameters.setNeedClientAuth(true);
        parameters.setApplicationProtocols(protocols);
        if (version != null) {
            parameters.setProtocols(new String[] {version});
        }
        if (matcher != null) {
            parameters.setSNIMatchers(List.of(matcher));
        }
        server.setSSLParameters(parameters);
        System.out.println("LISTEN " + label + " " + server.getLocalPort());
        Thread thread = new Thread(() -> {
            while (true) {
                try {
                    SSLSocket socket = (SSLSocket) server.accept();
                    new Thread(() -> serve(socket)).start();
                } catch (IOException e) {
                    return;
                }
            }
        });
        thread.start();
    }

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        Server server = new Server(arguments[0]);
        Names names = new Names();
        names.add(server, "server");
        for (int i = 1; i < arguments.length; i++) {
            names.add(server, arguments[i]);
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(new KeyManager[] {names}, server.trust(), null);
        listen("jsse", context, null, null, "h2");
        listen("jsse12", context, "TLSv1.2", null, "h2");
        SSLContext any = SSLContext.getInstance("TLS");
        any.init(new KeyManager[] {names}, new TrustManager[] {new Any()}, null);
        listen("jsse_any", any, null, null, "h2");
        listen("jsse_http1", context, null, null, "http/1.1");
        listen("jsse_no_alpn", context, null, null);
        listen("jsse_sni", context, null, SNIHostName.createSNIMatcher("nobody\\.test"), "h2");
    }
}
