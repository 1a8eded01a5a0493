import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** A server of the JDK's own; a length of 0 means chunked, one of -1 means none. */
public class Stall {
    public static void main(String[] args) throws Exception {
        var address = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/items", exchange -> {
            exchange.getRequestBody().readAllBytes();
            if (exchange.getRequestMethod().equals("HEAD")) {
                exchange.sendResponseHeaders(200, -1);
            } else if (exchange.getRequestMethod().equals("POST")) {
                exchange.sendResponseHeaders(201, 0);
                exchange.getResponseBody().write("made".getBytes());
            } else {
                exchange.sendResponseHeaders(200, 5);
                exchange.getResponseBody().write("items".getBytes());
            }
            exchange.close();
        });
        server.start();
    }
}
