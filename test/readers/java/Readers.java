// The JDK's CertificateFactory, and Netty as grpc-java and the Temporal Java SDK read streams.
import io.netty.handler.ssl.SslContext;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;

final class Readers {
    // The readers of Netty are static and protected.
    private abstract static class Netty extends SslContext {
        static Collection<? extends Certificate> certificates(byte[] text) throws Exception {
            return Arrays.asList(toX509Certificates(new ByteArrayInputStream(text)));
        }

        static PrivateKey key(byte[] text) throws Exception {
            return toPrivateKey(new ByteArrayInputStream(text), null);
        }
    }

    private interface Reader {
        Collection<? extends Certificate> read(byte[] text) throws Exception;
    }

    private static Collection<? extends Certificate> jdk(byte[] text) throws Exception {
        return CertificateFactory.getInstance("X.509")
                .generateCertificates(new ByteArrayInputStream(text));
    }

    private static String hash(byte[] bytes) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte one : MessageDigest.getInstance("SHA-256").digest(bytes)) {
            hex.append(String.format("%02x", one));
        }
        return hex.toString();
    }

    private static String refused(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        // The JDK quotes the lines that it does not like.
        String message = String.valueOf(cause.getMessage()).replaceAll("\\s+", " ");
        message = message.replaceAll("(?i)(illegal (header|footer)|do not match): .*", "$1");
        return "error: " + cause.getClass().getSimpleName() + ": " + message;
    }

    private static String list(Reader reader, byte[] text) {
        try {
            List<String> hashes = new ArrayList<>();
            for (Certificate certificate : reader.read(text)) {
                hashes.add(hash(certificate.getEncoded()));
            }
            return hashes.isEmpty() ? "error: none" : String.join(",", hashes);
        } catch (Exception | StackOverflowError error) {
            return refused(error);
        }
    }

    // PKCS#8 as the JDK writes it: the same bytes for the same key, which is all that is compared.
    private static String key(byte[] text) {
        try {
            return "pkcs8:" + hash(Netty.key(text).getEncoded());
        } catch (Exception | StackOverflowError error) {
            return refused(error);
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader paths = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = paths.readLine()) != null; ) {
            String path = line.split("\t")[0];
            byte[] text = Files.readAllBytes(Path.of(path));
            if (!line.endsWith("\tkey")) {
                String jdk = list(Readers::jdk, text);
                out.print("jdk\t" + path + "\tchain\t" + jdk + "\n");
                out.print("jdk\t" + path + "\troots\t" + jdk + "\n");
                String netty = list(Netty::certificates, text);
                out.print("netty\t" + path + "\tchain\t" + netty + "\n");
                out.print("netty\t" + path + "\troots\t" + netty + "\n");
            }
            if (!line.endsWith("\tcertificates")) {
                out.print("netty\t" + path + "\tkey\t" + key(text) + "\n");
            }
        }
        out.flush();
    }

    private Readers() { }
}
