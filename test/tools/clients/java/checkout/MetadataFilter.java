package checkout;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URLEncoder;
import java.util.HashMap;
import java.util.stream.Collectors;

/** The filter metadata[key]=value. The generated client asks it for its part of the URL. */
public class MetadataFilter extends HashMap<String, String> {
  public String toUrlQueryString(String name) {
    return entrySet().stream()
        .map(entry -> encode(name + "[" + entry.getKey() + "]") + "=" + encode(entry.getValue()))
        .collect(Collectors.joining("&"));
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, UTF_8);
  }
}
