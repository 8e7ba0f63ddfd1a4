package javax.annotation;

/** A project has this annotation from jakarta.annotation-api 1.3.5; the generator's own jar has all else. */
public @interface Generated {
  String value();

  String date();

  String comments();
}
