package aflint;

import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.catalyst.catalog.CatalogStorageFormat;
import org.apache.spark.sql.catalyst.catalog.CatalogTable;
import org.apache.spark.sql.catalyst.catalog.CatalogTablePartition;
import org.apache.spark.sql.catalyst.catalog.SessionCatalog;
import org.apache.spark.sql.catalyst.plans.logical.Command;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.trees.TreePattern;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.command.CreateDataSourceTableAsSelectCommand;
import org.apache.spark.sql.execution.command.DataWritingCommand;
import org.apache.spark.sql.execution.command.InsertIntoDataSourceDirCommand;
import org.apache.spark.sql.execution.datasources.DataSource;
import org.apache.spark.sql.execution.datasources.FileIndex;
import org.apache.spark.sql.execution.datasources.InsertIntoHadoopFsRelationCommand;
import org.apache.spark.sql.execution.datasources.LogicalRelation;
import org.apache.spark.sql.execution.datasources.PartitioningUtils;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * Keeps commands that compute from running in the JVM. It is a rule of the analyzer's, which raises for
 * such a command before anything of it runs; the driver then takes the command and runs it by the engine.
 *
 * It also does the planner's part of those that write tables: what Spark's own commands do before and
 * after the rows are written. A session's rule is made by this object, too, and is this object.
 */
public class Commands implements scala.Function1 {
  private final Map met = new HashMap();
  private int last = 0;
  private final ThreadLocal open = new ThreadLocal();

  /** Says whether this thread's commands may run here: they are only planned, or Spark is to run them. */
  public void open(boolean may) {
    open.set(Boolean.valueOf(may));
  }

  /** Returns the command that an error has named, once. */
  public synchronized LogicalPlan take(int number) {
    return (LogicalPlan) met.remove(Integer.valueOf(number));
  }

  public void forbidIn(SparkSession session) {
    session.extensions().injectCheckRule(this);
  }

  public Object apply(Object given) {
    if (!(given instanceof LogicalPlan)) {
      return this;
    }
    LogicalPlan plan = (LogicalPlan) given;
    if (!Boolean.TRUE.equals(open.get()) && computes(plan) && !explained()) {
      synchronized (this) {
        last++;
        met.put(Integer.valueOf(last), plan);
        throw new UnsupportedOperationException("aflint runs command " + last);
      }
    }
    return scala.runtime.BoxedUnit.UNIT;
  }

  /** The kinds of commands that compute, beside those that say that they write. */
  private static final java.util.Set COMPUTE = new java.util.HashSet(java.util.Arrays.asList(
      new String[] {"CreateDataSourceTableAsSelectCommand", "CreateHiveTableAsSelectCommand",
          "InsertIntoDataSourceCommand", "InsertIntoDataSourceDirCommand", "InsertIntoHiveDirCommand",
          "SaveIntoDataSourceCommand", "CacheTableAsSelect", "AnalyzeColumnCommand",
          "AnalyzePartitionCommand", "AnalyzeTableCommand", "AnalyzeTablesCommand", "AnalyzeColumn",
          "AnalyzeTable", "AnalyzeTables", "CreateTableAsSelect", "ReplaceTableAsSelect", "AppendData",
          "OverwriteByExpression", "OverwritePartitionsDynamic", "ReplaceData", "WriteDelta",
          "DeleteFromTable", "DeleteFromTableWithFilters", "UpdateTable", "MergeIntoTable",
          "MergeRows", "Call", "WriteToDataSourceV2", "WriteFiles", "CompoundBody"}));

  private static boolean computes(LogicalPlan plan) {
    String name = plan.getClass().getSimpleName();
    if (name.equals("Union")) { // of the inserts of one statement
      return plan.children().nonEmpty() && plan.children().head() instanceof Command;
    }
    if (name.startsWith("Analyze") && plan.toString().contains(" true")) {
      return !field(plan, "noScan").equals(Boolean.TRUE);
    }
    if (name.equals("CacheTable") || name.equals("CacheTableAsSelect")) {
      return field(plan, "isLazy").equals(Boolean.FALSE);
    }
    if (name.equals("SetVariable")) {
      LogicalPlan query = (LogicalPlan) field(plan, "sourceQuery");
      return query.containsPattern(TreePattern.PLAN_EXPRESSION()) || !constant(query);
    }
    return plan instanceof DataWritingCommand || COMPUTE.contains(name);
  }

  /** Whether a query only evaluates constants. */
  private static boolean constant(LogicalPlan query) {
    scala.collection.Iterator leaves = query.collectLeaves().iterator();
    while (leaves.hasNext()) {
      String name = leaves.next().getClass().getSimpleName();
      if (!name.startsWith("OneRowRelation") && !name.equals("LocalRelation")) {
        return false;
      }
    }
    return true;
  }

  /** Whether the plan is only looked at, by EXPLAIN. */
  private static boolean explained() {
    StackTraceElement[] calls = Thread.currentThread().getStackTrace();
    for (int i = 0; i < calls.length; i++) {
      if (calls[i].getClassName().endsWith("ExplainCommand")) {
        return true;
      }
    }
    return false;
  }

  private static Object field(Object product, String name) {
    scala.Product all = (scala.Product) product;
    for (int i = 0; i < all.productArity(); i++) {
      if (all.productElementName(i).equals(name)) {
        return all.productElement(i);
      }
    }
    return "";
  }

  /** Returns a copy of a value in which one field is another. */
  private static Object with(Object product, String name, Object value) throws Exception {
    scala.Product all = (scala.Product) product;
    Object[] fields = new Object[all.productArity()];
    for (int i = 0; i < fields.length; i++) {
      fields[i] = all.productElementName(i).equals(name) ? value : all.productElement(i);
    }
    java.lang.reflect.Constructor[] constructors = product.getClass().getConstructors();
    for (int i = 0; i < constructors.length; i++) {
      if (constructors[i].getParameterTypes().length == fields.length) {
        return constructors[i].newInstance(fields);
      }
    }
    throw new IllegalStateException("no constructor of " + product.getClass());
  }

  /** Returns CACHE TABLE without its count of the rows. */
  public LogicalPlan lazily(LogicalPlan cache) throws Exception {
    return (LogicalPlan) with(cache, "isLazy", Boolean.TRUE);
  }

  /** Returns the command that saveAsTable runs, in releases that wrap it in another. */
  public LogicalPlan unwrapped(SparkSession session, LogicalPlan command) throws Exception {
    if (!command.getClass().getSimpleName().equals("SaveAsV1TableCommand")) {
      return command;
    }
    CatalogTable table = (CatalogTable) field(command, "tableDesc");
    Object name = session.sessionState().catalog().qualifyIdentifier(table.identifier());
    return new org.apache.spark.sql.execution.datasources.CreateTable(
        (CatalogTable) with(table, "identifier", name), (SaveMode) field(command, "mode"),
        scala.Option.apply(field(command, "query")));
  }

  // ---- INSERT OVERWRITE DIRECTORY

  public LogicalPlan writing(SparkSession session, InsertIntoDataSourceDirCommand command)
      throws Exception {
    SaveMode mode = command.overwrite() ? SaveMode.Overwrite : SaveMode.ErrorIfExists;
    scala.Option none = scala.Option.empty();
    return source(session, command.provider(), command.storage(), nothing(), none, none)
        .planForWriting(mode, command.query());
  }

  // ---- CREATE TABLE AS SELECT

  /** Whether its table is there and takes no rows: Spark's command then raises, or does nothing. */
  public boolean isSettled(SparkSession session, CreateDataSourceTableAsSelectCommand command) {
    if (!exists(session, command) || command.mode() == SaveMode.Append) {
      return false;
    }
    return command.mode() != SaveMode.Overwrite || reads(session, command);
  }

  /** Whether a query reads the table that its rows would replace, which Spark refuses. */
  private static boolean reads(SparkSession session, CreateDataSourceTableAsSelectCommand command) {
    Object own = relation((LogicalPlan) session.table(
        command.table().identifier().quotedString()).queryExecution().analyzed());
    scala.collection.Iterator leaves = command.query().collectLeaves().iterator();
    while (own != null && leaves.hasNext()) {
      if (own.equals(relation((LogicalPlan) leaves.next()))) {
        return true;
      }
    }
    return false;
  }

  private static Object relation(LogicalPlan plan) {
    LogicalPlan leaf = (LogicalPlan) plan.collectLeaves().head();
    return leaf instanceof LogicalRelation ? ((LogicalRelation) leaf).relation() : null;
  }

  /** Makes room for its table: drops one that it replaces, and checks the place of a new one. */
  public void begin(SparkSession session, CreateDataSourceTableAsSelectCommand command) {
    CatalogTable table = command.table();
    SessionCatalog catalog = session.sessionState().catalog();
    if (exists(session, command)) {
      if (command.mode() == SaveMode.Append) {
        return;
      }
      catalog.dropTable(table.identifier(), true, false);
    }
    if (table.storage().locationUri().isDefined()) {
      org.apache.spark.sql.execution.command.DataWritingCommand$.MODULE$.assertEmptyRootPath(
          (java.net.URI) table.storage().locationUri().get(), command.mode(),
          session.sessionState().newHadoopConf());
    }
    catalog.validateTableLocation(table);
  }

  private boolean exists(SparkSession session, CreateDataSourceTableAsSelectCommand command) {
    return session.sessionState().catalog().tableExists(command.table().identifier());
  }

  public LogicalPlan writing(SparkSession session, CreateDataSourceTableAsSelectCommand command)
      throws Exception {
    CatalogTable table = command.table();
    boolean exists = exists(session, command) && command.mode() == SaveMode.Append;
    scala.Option known = exists ? scala.Option.apply(table) : scala.Option.empty();
    return source(session, (String) table.provider().get(), placed(session, table).storage(),
        table.partitionColumnNames(), table.bucketSpec(), known)
        .planForWriting(exists ? SaveMode.Append : SaveMode.Overwrite, command.query());
  }

  /** Enters the table of a command in the catalog, once its rows are written. */
  public void written(SparkSession session, CreateDataSourceTableAsSelectCommand command)
      throws Exception {
    CatalogTable table = command.table();
    SessionCatalog catalog = session.sessionState().catalog();
    if (!exists(session, command)) {
      scala.collection.Seq placed = table.partitionColumnNames();
      StructType data = new StructType();
      StructType folders = new StructType();
      StructField[] fields = command.query().schema().asNullable().fields();
      for (int i = 0; i < fields.length; i++) {
        if (placed.contains(fields[i].name())) {
          folders = folders.add(fields[i]);
        } else {
          data = data.add(fields[i]);
        }
      }
      for (int i = 0; i < folders.fields().length; i++) {
        data = data.add(folders.fields()[i]);
      }
      boolean tracks =
          placed.nonEmpty() && session.sessionState().conf().manageFilesourcePartitions();
      Object made = with(placed(session, table), "schema", data);
      made = with(made, "tracksPartitionsInCatalog", Boolean.valueOf(tracks));
      catalog.createTable((CatalogTable) made, false, false);
    }
    session.catalog().refreshByPath(placed(session, table).storage().locationUri().get().toString());
    settled(session, table);
  }

  private static CatalogTable placed(SparkSession session, CatalogTable table) throws Exception {
    if (table.storage().locationUri().isDefined()) {
      return table;
    }
    java.net.URI place = session.sessionState().catalog().defaultTablePath(table.identifier());
    Object storage = with(table.storage(), "locationUri", scala.Option.apply(place));
    return (CatalogTable) with(table, "storage", storage);
  }

  private static DataSource source(SparkSession session, String provider,
      CatalogStorageFormat storage, scala.collection.immutable.Seq partitions, scala.Option buckets,
      scala.Option table) throws Exception {
    String path = ((java.net.URI) storage.locationUri().get()).toString();
    scala.collection.immutable.Map options =
        (scala.collection.immutable.Map) storage.properties().updated("path", path);
    scala.Option none = scala.Option.empty(); // of a schema, and of what later releases add
    Object[] all = new Object[] {
        session, provider, nothing(), none, partitions, buckets, options, table, none};
    java.lang.reflect.Constructor made = DataSource.class.getConstructors()[0];
    return (DataSource) made.newInstance(
        java.util.Arrays.copyOf(all, made.getParameterTypes().length));
  }

  private static scala.collection.immutable.Seq nothing() {
    return (scala.collection.immutable.Seq) scala.collection.immutable.Nil$.MODULE$;
  }

  // ---- INSERT

  /** Whether a partition of its table lies elsewhere than in the table's folder. */
  public boolean isScattered(SparkSession session, InsertIntoHadoopFsRelationCommand command) {
    if (command.catalogTable().isEmpty()) {
      return false;
    }
    CatalogTable table = (CatalogTable) command.catalogTable().get();
    if (!table.tracksPartitionsInCatalog() || table.partitionColumnNames().isEmpty()) {
      return false;
    }
    scala.collection.Iterator all = session.sessionState().catalog()
        .listPartitions(table.identifier(), scala.Option.empty()).iterator();
    while (all.hasNext()) {
      CatalogTablePartition part = (CatalogTablePartition) all.next();
      String folder = PartitioningUtils.getPathFragment(part.spec(), table.partitionSchema());
      if (!new Path(table.location()).toUri().getPath().concat("/" + folder)
          .equals(new Path(part.location()).toUri().getPath())) {
        return true;
      }
    }
    return false;
  }

  /** Has the catalog see what was inserted. */
  public void written(SparkSession session, InsertIntoHadoopFsRelationCommand command)
      throws Exception {
    if (command.fileIndex().isDefined()) {
      ((FileIndex) command.fileIndex().get()).refresh();
    }
    session.catalog().refreshByPath(command.outputPath().toString());
    if (command.catalogTable().isDefined()) {
      settled(session, (CatalogTable) command.catalogTable().get());
    }
  }

  /** Enters new partitions, forgets those that are gone, and has what is read next read anew. */
  private static void settled(SparkSession session, CatalogTable table) throws Exception {
    String name = table.identifier().quotedString();
    CatalogTable known = session.sessionState().catalog().getTableMetadata(table.identifier());
    if (known.tracksPartitionsInCatalog() && known.partitionColumnNames().nonEmpty()) {
      session.sql("MSCK REPAIR TABLE " + name + " SYNC PARTITIONS");
    }
    session.catalog().refreshTable(name);
  }
}
