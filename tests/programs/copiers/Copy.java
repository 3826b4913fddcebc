// java Copy.java WAY SOURCE DESTINATION
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

public class Copy {
    static void channel(FileChannel from, FileChannel to) throws Exception {
        ByteBuffer buffer = ByteBuffer.allocateDirect(65536);
        while (from.read(buffer) >= 0) {
            buffer.flip();
            while (buffer.hasRemaining())
                to.write(buffer);
            buffer.clear();
        }
    }

    public static void main(String[] arguments) throws Exception {
        Path source = Path.of(arguments[1]), copy = Path.of(arguments[2]);
        if (arguments[0].equals("files")) {
            Files.copy(source, copy);
            return;
        }
        if (arguments[0].equals("streams")) {
            try (var from = new FileInputStream(source.toFile()); var to = new FileOutputStream(copy.toFile())) {
                from.transferTo(to);
            }
            return;
        }
        try (var from = FileChannel.open(source);
             var to = FileChannel.open(copy, StandardOpenOption.WRITE, StandardOpenOption.CREATE)) {
            switch (arguments[0]) {
            case "transferTo" -> from.transferTo(0, from.size(), to);
            case "transferFrom" -> to.transferFrom(from, 0, from.size());
            default -> channel(from, to);
            }
        }
    }
}
