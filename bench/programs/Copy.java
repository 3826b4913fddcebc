import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;

/** Copy channel|stream SOURCE COPY: leaves the copy to the kernel, or reads and writes. */
final class Copy {
    private Copy() {
    }

    private static void byChannel(FileChannel source, FileChannel copy) throws IOException {
        long size = source.size();
        long done = 0;
        while (done < size) {
            done += source.transferTo(done, size - done, copy);
        }
    }

    private static void byStream(FileInputStream source, FileOutputStream copy) throws IOException {
        byte[] block = new byte[128 << 10];
        int n;
        while ((n = source.read(block)) > 0) {
            copy.write(block, 0, n);
        }
    }

    public static void main(String[] arguments) throws IOException {
        try (FileInputStream source = new FileInputStream(arguments[1]);
                FileOutputStream copy = new FileOutputStream(arguments[2])) {
            if (arguments[0].equals("channel")) {
                byChannel(source.getChannel(), copy.getChannel());
            } else {
                byStream(source, copy);
            }
        }
    }
}
