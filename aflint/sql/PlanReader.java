package aflint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.IdentityHashMap;
import org.apache.spark.api.python.PythonFunction;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.ExprId;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.NamedExpression;
import org.apache.spark.sql.catalyst.expressions.PythonUDAF;
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateFunction;
import org.apache.spark.sql.catalyst.expressions.aggregate.PivotFirst;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.sql.catalyst.util.MapData;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.CommandResultExec;
import org.apache.spark.sql.execution.FileSourceScanExec;
import org.apache.spark.sql.execution.LocalTableScanExec;
import org.apache.spark.sql.execution.QueryExecution;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.columnar.InMemoryRelation;
import org.apache.spark.sql.execution.columnar.InMemoryTableScanExec;
import org.apache.spark.sql.execution.datasources.HadoopFsRelation;
import org.apache.spark.sql.execution.datasources.InsertIntoHadoopFsRelationCommand;
import org.apache.spark.sql.execution.datasources.PartitionDirectory;
import org.apache.spark.sql.internal.SQLConf;
import org.apache.spark.sql.internal.SQLConf$;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.unsafe.types.UTF8String;

/**
 * Writes a physical plan as JSON, in one call: every node and expression with its class, its type and
 * its constructor's parameters. Compiled in the driver's JVM by the compiler that Spark brings along.
 *
 * A node is {"class", "fields", "children"}; a child among the fields is {"child": n}. Expressions also have
 * "type" and "nullable", named ones "exprId", plans "id", "output", and "nodeName" and "text" to be shown. A plan that was written before, as
 * that of a reused exchange, is {"ref": id}.
 */
public class PlanReader {
  private static final int MOST_FIELDS = 25; // as in Spark's own descriptions of plans

  private final ObjectMapper mapper = new ObjectMapper();
  private IdentityHashMap plans;
  private SparkSession planning;
  private final IdentityHashMap caches = new IdentityHashMap();
  private final java.util.WeakHashMap planners = new java.util.WeakHashMap();

  /**
   * Writes the plan of a query; the "names" of the result's columns, by default its own, and the
   * settings of adaptive execution are among the fields of its root.
   */
  public String read(SparkSession session, LogicalPlan query, Object mode, StructType given)
      throws Exception {
    SQLConf asked = session.sessionState().conf();
    QueryExecution execution = planner(session, asked).sessionState().executePlan(
        query, (scala.Enumeration.Value) mode);
    execution.assertAnalyzed();
    planning = planner(session, asked);
    SparkPlan plan = execution.executedPlan();
    StructType schema = given == null ? plan.schema() : given;
    plans = new IdentityHashMap();
    ObjectNode root = node(plan);
    adaptive(asked, (ObjectNode) root.get("fields"));
    ArrayNode names = ((ObjectNode) root.get("fields")).putArray("names");
    for (int i = 0; i < schema.fields().length; i++) {
      names.add(schema.fields()[i].name());
    }
    return mapper.writeValueAsString(root);
  }

  /**
   * A session like another one, in which plans are not adaptive: Spark's own adaptive plan hides the
   * steps, and is made while it runs.
   */
  private synchronized SparkSession planner(SparkSession session, SQLConf asked) {
    SparkSession planner = (SparkSession) planners.get(session);
    if (planner == null) {
      planner = session.cloneSession();
      planners.put(session, planner);
    }
    SQLConf conf = planner.sessionState().conf();
    conf.clear();
    scala.collection.Iterator settings = asked.getAllConfs().iterator();
    while (settings.hasNext()) {
      scala.Tuple2 setting = (scala.Tuple2) settings.next();
      conf.setConfString((String) setting._1(), (String) setting._2());
    }
    conf.setConfString("spark.sql.adaptive.enabled", "false");
    conf.setConfString("spark.sql.shuffle.partitions", String.valueOf(asked.numShufflePartitions()));
    return planner;
  }

  private void adaptive(SQLConf conf, ObjectNode fields) {
    SQLConf$ all = SQLConf$.MODULE$;
    ObjectNode json = fields.putObject("adaptive");
    json.put("enabled", conf.adaptiveExecutionEnabled());
    setting(json, "coalesces", conf.getConf(all.COALESCE_PARTITIONS_ENABLED()));
    setting(json, "parallelism_first", conf.getConf(all.COALESCE_PARTITIONS_PARALLELISM_FIRST()));
    setting(json, "least_partitions", conf.getConf(all.COALESCE_PARTITIONS_MIN_PARTITION_NUM()));
    setting(json, "least_bytes", conf.getConf(all.COALESCE_PARTITIONS_MIN_PARTITION_SIZE()));
    setting(json, "advisory_bytes", conf.getConf(all.ADVISORY_PARTITION_SIZE_IN_BYTES()));
    setting(json, "splits", conf.getConf(all.SKEW_JOIN_ENABLED()));
    setting(json, "skew_factor", conf.getConf(all.SKEW_JOIN_SKEWED_PARTITION_FACTOR()));
    setting(json, "skew_bytes", conf.getConf(all.SKEW_JOIN_SKEWED_PARTITION_THRESHOLD()));
    setting(json, "broadcast_bytes", conf.getConf(all.AUTO_BROADCASTJOIN_THRESHOLD()));
    setting(json, "broadcast_bytes", conf.getConf(all.ADAPTIVE_AUTO_BROADCASTJOIN_THRESHOLD()));
    setting(json, "nonempty_ratio",
        conf.getConf(all.NON_EMPTY_PARTITION_RATIO_FOR_BROADCAST_JOIN()));
  }

  /** Sets what a setting is set to, if it is. */
  private void setting(ObjectNode json, String name, Object value) {
    Object found = value instanceof scala.Option
        ? (((scala.Option) value).isDefined() ? ((scala.Option) value).get() : null) : value;
    if (found != null) {
      json.set(name, mapper.valueToTree(found));
    }
  }

  private ObjectNode node(TreeNode node) throws Exception {
    if (node instanceof org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec) {
      // What is cached was planned in the user's own session: as it was before anything ran.
      return node(((org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec) node)
          .initialPlan());
    }
    ObjectNode json = mapper.createObjectNode();
    if (node instanceof SparkPlan) {
      Object known = plans.get(node);
      if (known != null) {
        return json.put("ref", ((Integer) known).intValue());
      }
      plans.put(node, Integer.valueOf(plans.size()));
      json.put("id", plans.size() - 1);
    }
    json.put("class", name(node.getClass()));
    ArrayNode children = json.putArray("children");
    Object[] below = array(node.children());
    for (int i = 0; i < below.length; i++) {
      children.add(node((TreeNode) below[i]));
    }
    if (node instanceof Expression) {
      describe((Expression) node, json);
    } else if (node instanceof SparkPlan) {
      json.set("output", sequence(((SparkPlan) node).output(), new Object[0]));
      json.put("nodeName", ((SparkPlan) node).nodeName());
      json.put("text", node.simpleString(MOST_FIELDS));
    }
    ObjectNode fields = json.putObject("fields");
    scala.Product product = (scala.Product) node;
    for (int i = 0; i < product.productArity(); i++) {
      Object value = product.productElement(i);
      boolean rows = node instanceof LocalTableScanExec && i == 1 || node instanceof CommandResultExec;
      if (!rows && !(node instanceof Literal)) {
        fields.set(product.productElementName(i), value(value, below));
      }
    }
    extras(node, fields);
    return json;
  }

  private void describe(Expression expression, ObjectNode json) throws Exception {
    if (expression.resolved()) {
      try {
        json.set("type", mapper.readTree(expression.dataType().json()));
        json.put("nullable", expression.nullable());
      } catch (Exception error) {
        json.putNull("type"); // of what has no value, such as the frame of a window
      }
    }
    if (expression instanceof NamedExpression) {
      NamedExpression named = (NamedExpression) expression;
      json.put("name", named.name());
      if (expression.resolved()) {
        json.put("exprId", named.exprId().id());
      }
    }
  }

  /** What a node is made of that are no parameters of its constructor. */
  private void extras(TreeNode node, ObjectNode fields) throws Exception {
    if (node instanceof Literal) {
      Literal literal = (Literal) node;
      fields.set("value", datum(literal.value(), literal.dataType()));
    } else if (node instanceof AggregateFunction && !(node instanceof PythonUDAF)) {
      fields.put("bufferWidth", ((AggregateFunction) node).aggBufferAttributes().size());
      if (node instanceof PivotFirst) {
        ArrayNode members = fields.putArray("members");
        Object[] all = array(((PivotFirst) node).pivotColumnValues());
        for (int i = 0; i < all.length; i++) {
          members.add(datum(all[i], ((PivotFirst) node).pivotColumn().dataType()));
        }
      }
    } else if (node instanceof org.apache.spark.sql.catalyst.expressions.InSet) {
      org.apache.spark.sql.catalyst.expressions.InSet set =
          (org.apache.spark.sql.catalyst.expressions.InSet) node;
      ArrayNode members = fields.putArray("members");
      Object[] all = array(set.hset());
      for (int i = 0; i < all.length; i++) {
        members.add(datum(all[i], set.child().dataType()));
      }
    } else if (node instanceof LocalTableScanExec) {
      rows(((LocalTableScanExec) node).output(), ((LocalTableScanExec) node).rows(), fields);
    } else if (node instanceof CommandResultExec) {
      rows(((CommandResultExec) node).output(), ((CommandResultExec) node).rows(), fields);
    } else if (node instanceof org.apache.spark.sql.execution.command.DataWritingCommandExec) {
      write((org.apache.spark.sql.execution.command.DataWritingCommandExec) node, fields);
    } else if (node instanceof FileSourceScanExec) {
      scan((FileSourceScanExec) node, fields);
    } else if (node instanceof InMemoryTableScanExec) {
      InMemoryRelation relation = ((InMemoryTableScanExec) node).relation();
      Object builder = relation.cacheBuilder();
      if (!caches.containsKey(builder)) {
        caches.put(builder, Integer.valueOf(caches.size()));
      }
      fields.put("cache", ((Integer) caches.get(builder)).intValue());
      fields.set("cached", node(relation.cachedPlan()));
      fields.set("cachedOutput", sequence(relation.output(), new Object[0]));
    } else if (node instanceof org.apache.spark.sql.execution.exchange.ShuffleExchangeExec) {
      SparkPlan child = (SparkPlan) ((SparkPlan) node).children().head();
      fields.put("bytes", child.logicalLink().isDefined()
          ? ((LogicalPlan) child.logicalLink().get()).stats().sizeInBytes().toDouble() : -1.0);
    } else if (name(node.getClass()).equals("UnionLoopExec")) { // which releases before 4.1 lack
      loop((scala.Product) node, fields);
    } else if (node instanceof org.apache.spark.sql.execution.RangeExec) {
      org.apache.spark.sql.execution.RangeExec range =
          (org.apache.spark.sql.execution.RangeExec) node;
      fields.put("start", range.start());
      fields.put("end", range.end());
      fields.put("step", range.step());
      fields.put("numSlices", range.numSlices());
    } else if (node instanceof org.apache.spark.sql.execution.RDDScanExec) {
      fields.put("rddName", ((org.apache.spark.sql.execution.RDDScanExec) node).rdd().name());
    }
  }

  /** The plans of a recursive query's first rows, and of the rows that follow from others. */
  private void loop(scala.Product loop, ObjectNode fields) throws Exception {
    for (int i = 0; i < loop.productArity(); i++) {
      if (loop.productElement(i) instanceof LogicalPlan) {
        LogicalPlan plan = unlooped((LogicalPlan) loop.productElement(i));
        fields.set(loop.productElementName(i), node(planning.sessionState().executePlan(
            plan, org.apache.spark.sql.execution.CommandExecutionMode.SKIP()).executedPlan()));
      }
    }
    SQLConf conf = planning.sessionState().conf();
    fields.put("levels", conf.getConfString("spark.sql.cteRecursionLevelLimit", "100"));
    fields.put("rows", conf.getConfString("spark.sql.cteRecursionRowLimit", "1000000"));
  }

  /** A plan that scans RDDs, by names, where it refers to the rows of the loop that it is in. */
  private LogicalPlan unlooped(LogicalPlan plan) throws Exception {
    scala.collection.immutable.List made =
        (scala.collection.immutable.List) scala.collection.immutable.Nil$.MODULE$;
    if (!name(plan.getClass()).equals("UnionLoopRef")) {
      Object[] below = array(plan.children());
      for (int i = below.length - 1; i >= 0; i--) {
        made = made.$colon$colon(unlooped((LogicalPlan) below[i]));
      }
      return (LogicalPlan) plan.withNewChildren(made);
    }
    scala.Product reference = (scala.Product) plan;
    String which = reference.productElement(2).equals(Boolean.TRUE) ? "all" : "last";
    String name = "aflint-batches:/loop-" + reference.productElement(0) + "-" + which;
    LogicalPlan rows = planning.internalCreateDataFrame(
        planning.sparkContext().textFile(name, 1), plan.schema(), false)
        .queryExecution().analyzed();
    Object[] theirs = array(rows.output());
    Object[] ours = array(plan.output());
    for (int i = ours.length - 1; i >= 0; i--) {
      Attribute attribute = (Attribute) ours[i];
      made = made.$colon$colon(new org.apache.spark.sql.catalyst.expressions.Alias(
          (Expression) theirs[i], attribute.name(), attribute.exprId(),
          (scala.collection.immutable.Seq) scala.collection.immutable.Nil$.MODULE$,
          scala.Option.empty(),
          (scala.collection.immutable.Seq) scala.collection.immutable.Nil$.MODULE$));
    }
    return new org.apache.spark.sql.catalyst.plans.logical.Project(made, rows);
  }

  private void rows(scala.collection.Seq output, scala.collection.Seq values, ObjectNode fields)
      throws Exception {
    ArrayNode rows = fields.putArray("rows");
    Object[] attributes = array(output);
    Object[] all = array(values);
    for (int i = 0; i < all.length; i++) {
      ArrayNode row = rows.addArray();
      for (int j = 0; j < attributes.length; j++) {
        DataType type = ((Attribute) attributes[j]).dataType();
        InternalRow line = (InternalRow) all[i];
        row.add(line.isNullAt(j) ? mapper.nullNode() : datum(line.get(j, type), type));
      }
    }
  }

  private void scan(FileSourceScanExec scan, ObjectNode fields) throws Exception {
    HadoopFsRelation relation = scan.relation();
    fields.put("format", name(relation.fileFormat().getClass()));
    fields.set("dataSchema", mapper.readTree(relation.dataSchema().json()));
    fields.set("partitionSchema", mapper.readTree(relation.partitionSchema().json()));
    options(relation.options(), fields);
    fields.put("corrupt",
        relation.sparkSession().sessionState().conf().columnNameOfCorruptRecord());
    fields.set("about", sequence(scan.fileConstantMetadataColumns(), new Object[0]));
    ArrayNode directories = fields.putArray("directories");
    scala.collection.immutable.Seq none =
        (scala.collection.immutable.Seq) scala.collection.immutable.Nil$.MODULE$;
    Object[] found = array(relation.location().listFiles(scan.partitionFilters(), none));
    for (int i = 0; i < found.length; i++) {
      PartitionDirectory directory = (PartitionDirectory) found[i];
      ObjectNode json = directories.addObject();
      json.set("values", datum(directory.values(), relation.partitionSchema()));
      ArrayNode files = json.putArray("files");
      Object[] statuses = array(directory.files());
      for (int j = 0; j < statuses.length; j++) {
        org.apache.spark.sql.execution.datasources.FileStatusWithMetadata status =
            (org.apache.spark.sql.execution.datasources.FileStatusWithMetadata) statuses[j];
        ObjectNode file = files.addObject();
        file.put("path", status.getPath().toUri().toString());
        file.put("size", status.getLen());
        file.put("modified", status.getModificationTime());
        file.put("version", status.fileStatus().getOwner());
      }
    }
  }

  /** What files a command writes, and how: Spark's own format says what they are named by. */
  private void write(
      org.apache.spark.sql.execution.command.DataWritingCommandExec exec, ObjectNode fields)
      throws Exception {
    fields.put("command", name(exec.cmd().getClass()));
    if (!(exec.cmd() instanceof InsertIntoHadoopFsRelationCommand)) {
      return;
    }
    InsertIntoHadoopFsRelationCommand command = (InsertIntoHadoopFsRelationCommand) exec.cmd();
    org.apache.spark.sql.classic.SparkSession session =
        (org.apache.spark.sql.classic.SparkSession) exec.session();
    org.apache.hadoop.conf.Configuration conf =
        session.sessionState().newHadoopConfWithOptions(command.options());
    org.apache.hadoop.fs.Path path = command.outputPath();
    org.apache.spark.sql.util.SchemaUtils.checkColumnNameDuplication(
        command.outputColumnNames(), session.sessionState().conf().caseSensitiveAnalysis());
    fields.put("path", path.getFileSystem(conf).makeQualified(path).toString());
    fields.put("mode", command.mode().toString());
    fields.put("dynamic", command.dynamicPartitionOverwrite());
    fields.set("static", value(command.staticPartitions(), new Object[0]));
    if (command.bucketSpec().isDefined()) {
      org.apache.spark.sql.catalyst.catalog.BucketSpec buckets =
          (org.apache.spark.sql.catalyst.catalog.BucketSpec) command.bucketSpec().get();
      ObjectNode json = fields.putObject("buckets");
      json.put("count", buckets.numBuckets());
      json.set("columns", mapper.valueToTree(array(buckets.bucketColumnNames())));
    }
    fields.set("columnNames", mapper.valueToTree(array(command.outputColumnNames())));
    fields.set("partitions", sequence(command.partitionColumns(), new Object[0]));
    options(command.options(), fields);
    fields.put("mostRecords", session.sessionState().conf().maxRecordsPerFile());
    fields.put("version", session.version());
    StructType schema = new StructType();
    Object[] attributes = array(command.outputColumns());
    Object[] placed = array(command.partitionColumns());
    for (int i = 0; i < attributes.length; i++) {
      Attribute attribute = (Attribute) attributes[i];
      boolean within = true;
      for (int j = 0; j < placed.length; j++) {
        within = within && !((Attribute) placed[j]).exprId().equals(attribute.exprId());
      }
      if (within) {
        schema = schema.add(
            attribute.name(), attribute.dataType(), attribute.nullable(), attribute.metadata());
      }
    }
    fields.put("schema", schema.json());
    org.apache.spark.sql.execution.datasources.FileFormat format = command.fileFormat();
    fields.put("format", name(format.getClass()));
    verify(format, schema);
    org.apache.hadoop.mapreduce.Job job = org.apache.hadoop.mapreduce.Job.getInstance(conf);
    fields.put("extension", format.prepareWrite(session, job, command.options(), schema)
        .getFileExtension(new org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl(
            job.getConfiguration(), new org.apache.hadoop.mapreduce.TaskAttemptID())));
  }

  /** Has Spark refuse types that a format cannot hold, by a method that releases differ in. */
  private static void verify(Object format, StructType schema) throws Exception {
    java.lang.reflect.Method[] methods =
        org.apache.spark.sql.execution.datasources.DataSourceUtils.class.getMethods();
    for (int i = 0; i < methods.length; i++) {
      if (methods[i].getName().equals("verifySchema")) {
        Object[] all = new Object[] {format, schema, Boolean.FALSE};
        Object[] given = java.util.Arrays.copyOf(all, methods[i].getParameterTypes().length);
        try {
          methods[i].invoke(null, given);
        } catch (java.lang.reflect.InvocationTargetException error) {
          throw (Exception) error.getCause();
        }
      }
    }
  }

  private void options(scala.collection.Iterable given, ObjectNode fields) {
    ObjectNode options = fields.putObject("options");
    scala.collection.Iterator entries = given.iterator();
    while (entries.hasNext()) {
      scala.Tuple2 entry = (scala.Tuple2) entries.next();
      options.put((String) entry._1(), (String) entry._2());
    }
  }

  private com.fasterxml.jackson.databind.JsonNode value(Object value, Object[] below)
      throws Exception {
    for (int i = 0; i < below.length; i++) {
      if (below[i] == value) {
        return mapper.createObjectNode().put("child", i);
      }
    }
    if (value == null) {
      return mapper.nullNode();
    } else if (value instanceof scala.Option) {
      scala.Option option = (scala.Option) value;
      return option.isDefined() ? value(option.get(), below) : mapper.nullNode();
    } else if (value instanceof LogicalPlan) {
      return mapper.createObjectNode().put("opaque", name(value.getClass()));
    } else if (value instanceof TreeNode) {
      return node((TreeNode) value);
    } else if (value instanceof DataType) {
      return mapper.readTree(((DataType) value).json());
    } else if (value instanceof ExprId) {
      return mapper.getNodeFactory().numberNode(((ExprId) value).id());
    } else if (value instanceof scala.collection.Seq) {
      return sequence((scala.collection.Seq) value, below);
    } else if (value instanceof Boolean) {
      return mapper.getNodeFactory().booleanNode(((Boolean) value).booleanValue());
    } else if (value instanceof Double) {
      return mapper.getNodeFactory().numberNode(((Double) value).doubleValue());
    } else if (value instanceof Integer || value instanceof Long) {
      return mapper.getNodeFactory().numberNode(((Number) value).longValue());
    } else if (value instanceof Class) {
      return mapper.getNodeFactory().textNode(name((Class) value));
    } else if (value instanceof scala.collection.immutable.Map) {
      ObjectNode json = mapper.createObjectNode();
      scala.collection.Iterator entries = ((scala.collection.immutable.Map) value).iterator();
      while (entries.hasNext()) {
        scala.Tuple2 entry = (scala.Tuple2) entries.next();
        json.put(String.valueOf(entry._1()), String.valueOf(entry._2()));
      }
      return json;
    } else if (value instanceof String || value instanceof scala.Enumeration.Value
        || value instanceof Character || value instanceof UTF8String) {
      return mapper.getNodeFactory().textNode(value.toString());
    } else if (value instanceof PythonFunction) {
      return mapper.createObjectNode().put("command", text(((PythonFunction) value).command()));
    } else if (value instanceof scala.Product && part(value)) {
      scala.Product product = (scala.Product) value;
      if (product.productArity() == 0) {
        return mapper.getNodeFactory().textNode(product.productPrefix());
      }
      ObjectNode json = mapper.createObjectNode();
      json.put("class", name(value.getClass()));
      for (int i = 0; i < product.productArity(); i++) {
        json.set(product.productElementName(i), value(product.productElement(i), below));
      }
      return json;
    }
    return mapper.createObjectNode().put("opaque", name(value.getClass()));
  }

  /** Whether a value is of Catalyst's own small kinds, such as a join's type or a frame's bounds. */
  private static boolean part(Object value) {
    String name = value.getClass().getName();
    return value instanceof scala.Tuple2 || name.startsWith("org.apache.spark.sql.catalyst.")
        || name.startsWith("org.apache.spark.sql.execution.joins.");
  }

  /** What stands for a Python function: the name that it has in the driver. */
  private static String text(scala.collection.Seq bytes) {
    Object[] all = array(bytes);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < all.length; i++) {
      text.append((char) ((Byte) all[i]).byteValue());
    }
    return text.toString();
  }

  private ArrayNode sequence(scala.collection.Seq values, Object[] below) throws Exception {
    ArrayNode json = mapper.createArrayNode();
    Object[] all = array(values);
    for (int i = 0; i < all.length; i++) {
      json.add(value(all[i], below));
    }
    return json;
  }

  /** A value of Catalyst's own as JSON: numbers and texts as text, binaries in hexadecimal digits. */
  private com.fasterxml.jackson.databind.JsonNode datum(Object value, DataType type)
      throws Exception {
    if (value == null) {
      return mapper.nullNode();
    } else if (type instanceof ArrayType) {
      ArrayNode json = mapper.createArrayNode();
      ArrayData array = (ArrayData) value;
      DataType element = ((ArrayType) type).elementType();
      for (int i = 0; i < array.numElements(); i++) {
        json.add(array.isNullAt(i) ? mapper.nullNode() : datum(array.get(i, element), element));
      }
      return json;
    } else if (type instanceof MapType) {
      MapType map = (MapType) type;
      ArrayNode json = mapper.createArrayNode();
      json.add(datum(((MapData) value).keyArray(), new ArrayType(map.keyType(), false)));
      json.add(datum(((MapData) value).valueArray(), new ArrayType(map.valueType(), true)));
      return json;
    } else if (type instanceof StructType) {
      ArrayNode json = mapper.createArrayNode();
      StructField[] members = ((StructType) type).fields();
      for (int i = 0; i < members.length; i++) {
        DataType member = members[i].dataType();
        InternalRow row = (InternalRow) value;
        json.add(row.isNullAt(i) ? mapper.nullNode() : datum(row.get(i, member), member));
      }
      return json;
    } else if (value instanceof byte[]) {
      StringBuilder digits = new StringBuilder();
      byte[] bytes = (byte[]) value;
      for (int i = 0; i < bytes.length; i++) {
        digits.append(String.format("%02x", new Object[] {Byte.valueOf(bytes[i])}));
      }
      return mapper.getNodeFactory().textNode(digits.toString());
    }
    return mapper.getNodeFactory().textNode(value.toString());
  }

  private static Object[] array(scala.collection.Iterable values) {
    Object[] all = new Object[values.size()];
    scala.collection.Iterator iterator = values.iterator();
    for (int i = 0; i < all.length; i++) {
      all[i] = iterator.next();
    }
    return all;
  }

  private static String name(Class type) {
    String name = type.getName();
    name = name.substring(name.lastIndexOf('.') + 1);
    return name.endsWith("$") ? name.substring(0, name.length() - 1) : name;
  }
}
