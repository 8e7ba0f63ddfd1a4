package javax.annotation;

/** The annotation of jakarta.annotation-api 1.3.5, the only dependency that the generator's jar lacks. */
public @interface Generated {
  String value();

  String date();

  String comments();
}
