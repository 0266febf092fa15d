// The JDK (KeyStore, CertificateFactory, keytool's CSR reader) and Netty's reader of keys: see ../README.md.
import io.netty.handler.ssl.SslContext;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509CRL;
import java.security.cert.X509CRLEntry;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

final class Interop {
    // The readers of Netty are static and protected.
    private abstract static class Netty extends SslContext {
        static PrivateKey key(byte[] text, String passphrase) throws Exception {
            return toPrivateKey(new ByteArrayInputStream(text), passphrase);
        }
    }

    // A party has no reader for the kind.
    private static final class None extends Exception {
        private static final long serialVersionUID = 1;
    }

    private static String hash(byte[] bytes) throws Exception {
        StringBuilder hex = new StringBuilder();
        for (byte one : MessageDigest.getInstance("SHA-256").digest(bytes)) {
            hex.append(String.format("%02x", one));
        }
        return hex.toString();
    }

    private static String hashes(Iterable<? extends Certificate> certificates) throws Exception {
        List<String> values = new ArrayList<>();
        for (Certificate certificate : certificates) {
            values.add(hash(certificate.getEncoded()));
        }
        return String.join(",", values);
    }

    // The JDK makes no public key of a private one: a signature has to hold by the certificate of the key.
    private static String key(byte[] text, String passphrase, String beside) throws Exception {
        PrivateKey key = Netty.key(text, passphrase);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Certificate certificate = factory.generateCertificate(Files.newInputStream(Path.of(beside)));
        if (!belong(key, certificate)) {
            throw new Exception("the key is not that of the certificate");
        }
        return hash(certificate.getPublicKey().getEncoded());
    }

    private static String crl(byte[] text) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        X509CRL crl = (X509CRL) factory.generateCRL(new ByteArrayInputStream(text));
        List<String> serials = new ArrayList<>();
        for (X509CRLEntry entry : crl.getRevokedCertificates()) {
            serials.add(entry.getSerialNumber().toString(16));
        }
        Collections.sort(serials);
        return String.join(",", serials);
    }

    private static boolean belong(PrivateKey key, Certificate certificate) throws Exception {
        String name = switch (key.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            default -> "Ed25519";
        };
        Signature signature = Signature.getInstance(name);
        signature.initSign(key);
        signature.update((byte) 1);
        byte[] signed = signature.sign();
        signature.initVerify(certificate.getPublicKey());
        signature.update((byte) 1);
        return signature.verify(signed);
    }

    private static String pkcs12(byte[] data, String passphrase) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        char[] password = passphrase.toCharArray();
        store.load(new ByteArrayInputStream(data), password);
        for (String alias : Collections.list(store.aliases())) {
            Key key = store.getKey(alias, password);
            if (key instanceof PrivateKey) {
                Certificate[] chain = store.getCertificateChain(alias);
                if (!belong((PrivateKey) key, chain[0])) {
                    throw new Exception("the key is not that of the certificate");
                }
                return hash(chain[0].getPublicKey().getEncoded()) + ":" + hashes(List.of(chain));
            }
        }
        throw new Exception(store.size() + " entries, no key");
    }

    // keytool is a program; what it runs is here.
    private static String csr(Path path) throws Exception {
        PrintStream out = System.out;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
        try {
            sun.security.tools.keytool.Main.main(new String[] {"-printcertreq", "-file", path.toString()});
        } finally {
            System.setOut(out);
        }
        String text = said.toString(StandardCharsets.UTF_8);
        if (!text.contains("Subject:") && !text.contains("Public Key")) {
            throw new Exception(text);
        }
        return "-";
    }

    private static String read(Path path, String kind, String passphrase, String beside) throws Exception {
        byte[] data = Files.readAllBytes(path);
        switch (kind) {
            case "key":
                return key(data, passphrase.isEmpty() ? null : passphrase, beside);
            case "csr":
                return csr(path);
            case "certificates":
                return hashes(CertificateFactory.getInstance("X.509")
                        .generateCertificates(new ByteArrayInputStream(data)));
            case "crl":
                return crl(data);
            case "pkcs12":
                return pkcs12(data, passphrase);
            default:
                throw new None();
        }
    }

    private static String message(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return (cause.getClass().getSimpleName() + ": " + cause.getMessage()).replaceAll("\\s+", " ");
    }

    private static void readAll(String manifest) throws Exception {
        for (String line : Files.readAllLines(Path.of(manifest))) {
            String[] fields = line.split("\t");
            String passphrase = fields[2].equals("-") ? "" : fields[2];
            String answer;
            try {
                answer = "ok\t" + read(Path.of(fields[0]), fields[1], passphrase, fields[3]);
            } catch (None none) {
                answer = "none\t-";
            } catch (Throwable error) {
                answer = "error\t" + message(error);
            }
            System.out.println(fields[0] + "\t" + answer);
        }
    }

    // ---- what keytool and KeyStore write ----

    private static void keytool(String... arguments) throws Exception {
        sun.security.tools.keytool.Main.main(arguments);
    }

    private static String pem(String label, byte[] der) {
        return "-----BEGIN " + label + "-----\n"
                + java.util.Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der)
                + "\n-----END " + label + "-----\n";
    }

    private static void put(Path directory, String name, String kind, String passphrase, String value, byte[] data)
            throws Exception {
        Path path = directory.resolve(name);
        if (data != null) {
            Files.write(path, data);
        }
        System.out.println(path + "\t" + kind + "\t" + passphrase + "\t" + value);
    }

    private static void writeAll(Path directory) throws Exception {
        String[][] kinds = {{"p256", "EC", "-groupname", "secp256r1"}, {"p384", "EC", "-groupname", "secp384r1"},
            {"p521", "EC", "-groupname", "secp521r1"}, {"rsa2048", "RSA", "-keysize", "2048"},
            {"rsa3072", "RSA", "-keysize", "3072"}, {"rsa4096", "RSA", "-keysize", "4096"},
            {"ed25519", "Ed25519", "-groupname", "Ed25519"}};
        for (String[] kind : kinds) {
            String name = kind[0];
            String path = directory.resolve("pkcs12." + name).toString();
            keytool("-genkeypair", "-keystore", path, "-storetype", "PKCS12", "-storepass", "swordfish", "-alias", "worker",
                    "-keyalg", kind[1], kind[2], kind[3], "-dname", "CN=worker " + name, "-validity", "30");
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(Files.newInputStream(Path.of(path)), "swordfish".toCharArray());
            PrivateKey key = (PrivateKey) store.getKey("worker", "swordfish".toCharArray());
            Certificate certificate = store.getCertificate("worker");
            String value = hash(certificate.getPublicKey().getEncoded());
            String own = hash(certificate.getEncoded());
            put(directory, "pkcs12." + name, "pkcs12", "swordfish", value + ":" + own, null);
            put(directory, "key." + name, "key", "-", value,
                    pem("PRIVATE KEY", key.getEncoded()).getBytes(StandardCharsets.US_ASCII));
            put(directory, "certificates." + name, "certificates", "-", own,
                    pem("CERTIFICATE", certificate.getEncoded()).getBytes(StandardCharsets.US_ASCII));
            String csr = directory.resolve("csr." + name).toString();
            keytool("-certreq", "-keystore", path, "-storepass", "swordfish", "-alias", "worker", "-file", csr);
            put(directory, "csr." + name, "csr", "-", value, null);
            String crl = directory.resolve("crl." + name).toString();
            keytool("-gencrl", "-rfc", "-keystore", path, "-storepass", "swordfish", "-alias", "worker", "-id", "2748",
                    "-file", crl);
            put(directory, "crl." + name, "crl", "-", new BigInteger("2748").toString(16), null);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ROOT);
        if (arguments[0].equals("read")) {
            readAll(arguments[1]);
        } else {
            writeAll(Path.of(arguments[1]));
        }
    }
}
