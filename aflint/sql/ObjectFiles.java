package aflint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.net.URI;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.BlockLocation;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/**
 * Objects in S3, for the planner to list and to find schemas in: the driver's own storage looks, and
 * answers over py4j. Nothing is written here. The "owner" of a file is its version.
 */
public class ObjectFiles extends FileSystem {
  private static Function client;
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int BUFFER = 1 << 20;
  private URI uri;
  private Path working;

  /** Says who answers: it is given ["list", path], ["status", path] or ["read", path, start, end]. */
  public void answeredBy(Function function) {
    client = function;
  }

  public void initialize(URI name, Configuration conf) throws IOException {
    super.initialize(name, conf);
    setConf(conf);
    uri = URI.create(name.getScheme() + "://" + name.getAuthority());
    working = new Path(uri.toString() + "/");
  }

  private static Object ask(Object[] request) throws IOException {
    return client.apply(MAPPER.writeValueAsString(request));
  }

  private FileStatus[] asked(String what, Path path) throws IOException {
    Path absolute = makeQualified(path);
    Object answer = ask(new Object[] {what, absolute.toString()});
    if (answer == null) {
      throw new FileNotFoundException("No such file or directory: " + absolute);
    }
    JsonNode listed = (JsonNode) MAPPER.readTree((String) answer);
    FileStatus[] found = new FileStatus[listed.size()];
    for (int i = 0; i < found.length; i++) {
      JsonNode each = (JsonNode) listed.get(i);
      Path at = ((JsonNode) each.get(0)).isNull() ? absolute : new Path(absolute, new Path(null, null, ((JsonNode) each.get(0)).asText()));
      boolean folder = ((JsonNode) each.get(1)).isNull();
      FileStatus status = new FileStatus(folder ? 0 : ((JsonNode) each.get(1)).asLong(), folder, 1, 128L << 20, 0, 0,
          FsPermission.getFileDefault(), ((JsonNode) each.get(2)).asText(), "", at);
      found[i] = new LocatedFileStatus(status, new BlockLocation[0]);
    }
    return found;
  }

  public FileStatus[] listStatus(Path path) throws IOException {
    return asked("list", path);
  }

  public FileStatus getFileStatus(Path path) throws IOException {
    return asked("status", path)[0];
  }

  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    FileStatus status = getFileStatus(path);
    if (status.isDirectory()) {
      throw new FileNotFoundException(path + " is a folder");
    }
    return new FSDataInputStream(new Ranges(makeQualified(path).toString(), status.getLen()));
  }

  /** Reads by ranges of at least BUFFER bytes. */
  private static class Ranges extends FSInputStream {
    private final String path;
    private final long size;
    private long position = 0;
    private byte[] held = new byte[0];
    private long heldAt = 0;

    Ranges(String path, long size) {
      this.path = path;
      this.size = size;
    }

    public void seek(long to) {
      position = to;
    }

    public long getPos() {
      return position;
    }

    public boolean seekToNewSource(long to) {
      return false;
    }

    public int available() {
      return (int) Math.min(Integer.MAX_VALUE, Math.max(0, size - position));
    }

    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    public int read(byte[] into, int offset, int length) throws IOException {
      if (position >= size) {
        return -1;
      }
      if (position < heldAt || position >= heldAt + held.length) {
        long end = Math.min(size, position + Math.max(length, BUFFER));
        held = (byte[]) ask(new Object[] {"read", path, Long.valueOf(position), Long.valueOf(end)});
        heldAt = position;
      }
      int at = (int) (position - heldAt);
      int count = Math.min(length, held.length - at);
      System.arraycopy(held, at, into, offset, count);
      position += count;
      return count;
    }
  }

  public URI getUri() {
    return uri;
  }

  public String getScheme() {
    return uri == null ? "s3" : uri.getScheme();
  }

  public Path getWorkingDirectory() {
    return working;
  }

  public void setWorkingDirectory(Path path) {
    working = path;
  }

  private static IOException refused(String what) {
    return new IOException("aflint's planner does not " + what + " in S3: tasks do");
  }

  public FSDataOutputStream create(Path path, FsPermission permission, boolean overwrite, int buffer,
      short replication, long block, Progressable progress) throws IOException {
    throw refused("write");
  }

  public FSDataOutputStream append(Path path, int buffer, Progressable progress) throws IOException {
    throw refused("write");
  }

  public boolean rename(Path from, Path to) throws IOException {
    throw refused("rename");
  }

  public boolean delete(Path path, boolean recursive) throws IOException {
    throw refused("delete");
  }

  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    throw refused("make folders");
  }
}
