// The Java SDK: see ../README.md.
import io.temporal.api.workflowservice.v1.DescribeNamespaceRequest;
import io.temporal.api.workflowservice.v1.GetSystemInfoRequest;
import io.temporal.serviceclient.SimpleSslContextBuilder;
import io.temporal.serviceclient.WorkflowServiceStubs;
import io.temporal.serviceclient.WorkflowServiceStubsOptions;
import java.io.FileInputStream;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import javax.net.ssl.TrustManagerFactory;

final class Sdk {
    private static TrustManagerFactory trust(String path) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(path)) {
            store.setCertificateEntry("server", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory;
    }

    private static SimpleSslContextBuilder credentials(String first, String second) throws Exception {
        InputStream in = new FileInputStream(first);
        if (first.endsWith(".pfx")) {
            return SimpleSslContextBuilder.forPKCS12(in).setKeyPassword(Files.readString(Path.of(second)).trim());
        }
        return SimpleSslContextBuilder.forPKCS8(in, new FileInputStream(second));
    }

    public static void main(String[] arguments) {
        try {
            SimpleSslContextBuilder builder = credentials(arguments[2], arguments[3]);
            builder.setTrustManager(trust(arguments[1]).getTrustManagers()[0]);
            WorkflowServiceStubs service = WorkflowServiceStubs.newServiceStubs(WorkflowServiceStubsOptions.newBuilder()
                    .setSslContext(builder.build())
                    .setTarget(arguments[0])
                    .setChannelInitializer(channel -> channel.overrideAuthority("localhost"))
                    .setRpcTimeout(Duration.ofSeconds(10))
                    .build());
            String version = service.blockingStub()
                    .getSystemInfo(GetSystemInfoRequest.getDefaultInstance()).getServerVersion();
            String name = service.blockingStub()
                    .describeNamespace(DescribeNamespaceRequest.newBuilder().setNamespace("temporal-system").build())
                    .getNamespaceInfo().getName();
            System.out.println("ok " + version + " " + name);
            service.shutdownNow();
        } catch (Throwable error) {
            StringBuilder text = new StringBuilder();
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                text.append(text.length() > 0 ? ": " : "").append(cause.getMessage());
            }
            System.out.println("error " + text.toString().replaceAll("\\s+", " "));
        }
        System.exit(0);
    }
}
