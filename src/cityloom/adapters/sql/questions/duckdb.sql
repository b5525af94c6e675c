-- Made of history/long_questions.py by python -m cityloom.adapters.sql.long_questions

-- question: held
SELECT
  "t6"."grp",
  COUNT(*) AS "readings",
  SUM("t6"."lasting") AS "covered",
  COALESCE(
    SUM("t6"."lasting") FILTER(WHERE
      COALESCE("t6"."v" > {above}, "t6"."v" < {below})),
    0
  ) AS "inside"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t2"."grp",
      "t4"."observed_at",
      (
        (
          "t4"."number" * "t2"."factor"
        ) + "t2"."shift"
      ) / "t2"."reference" AS "v",
      LEAST(
        COALESCE("t4"."following", {until}),
        "t4"."observed_at" + {hold}
      ) - "t4"."observed_at" AS "lasting"
    FROM (
      SELECT
        "t0"."series",
        "t0"."observed_at",
        "t0"."sequence",
        "t0"."number",
        LEAD("t0"."observed_at") OVER (
          PARTITION BY "t0"."series"
          ORDER BY "t0"."observed_at" ASC, "t0"."sequence" ASC
          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS "following"
      FROM "standing" AS "t0"
    ) AS "t4"
    INNER JOIN "wanted" AS "t2"
      ON "t4"."series" = "t2"."series"
  ) AS "t5"
  WHERE
    "t5"."v" IS NOT NULL
    AND "t5"."observed_at" >= {since}
    AND "t5"."observed_at" < {before}
) AS "t6"
GROUP BY
  1

-- question: time_weighted
WITH "t6" AS (
  SELECT
    *
  FROM "standing" AS "t2"
  WHERE
    "t2"."observed_at" < {start}
)
SELECT
  "t20"."grp",
  "t20"."bucket",
  SUM("t20"."lasting") AS "covered",
  SUM("t20"."lasting" * "t20"."number") AS "area"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t4"."grp",
      "t3"."bucket",
      "t18"."number",
      LEAST("t18"."ends", "t3"."ends") - GREATEST("t18"."begins", "t3"."edge") AS "lasting"
    FROM (
      SELECT
        "t16"."series",
        "t16"."number",
        "t16"."begins",
        "t16"."ends",
        "t16"."begun" + (
          "t16"."turn" * {step}
        ) AS "stretch"
      FROM (
        SELECT
          "t15"."series",
          "t15"."number",
          "t15"."begins",
          "t15"."ends",
          "t15"."begins" - (
            (
              "t15"."begins" - {first}
            ) % {step}
          ) AS "begun",
          UNNEST(
            RANGE(
              0,
              CAST(FLOOR(
                (
                  (
                    (
                      "t15"."ends" - 1
                    ) - (
                      (
                        (
                          "t15"."ends" - 1
                        ) - {first}
                      ) % {step}
                    )
                  ) - (
                    "t15"."begins" - (
                      (
                        "t15"."begins" - {first}
                      ) % {step}
                    )
                  )
                ) / (
                  {step}
                )
              ) AS BIGINT) + 1,
              1
            )
          ) AS "turn"
        FROM (
          SELECT
            *
          FROM (
            SELECT
              "t13"."series",
              "t13"."number",
              GREATEST("t13"."observed_at", {start}) AS "begins",
              LEAST(
                COALESCE(
                  LEAD("t13"."observed_at") OVER (
                    PARTITION BY "t13"."series"
                    ORDER BY "t13"."observed_at" ASC
                    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
                  ),
                  {end}
                ),
                "t13"."observed_at" + {hold}
              ) AS "ends"
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  *
                FROM (
                  SELECT
                    "t8"."series",
                    "t8"."observed_at",
                    "t8"."sequence",
                    "t8"."number"
                  FROM "t6" AS "t8"
                  SEMI JOIN (
                    SELECT
                      "t7"."series",
                      MAX("t7"."observed_at") AS "observed_at"
                    FROM "t6" AS "t7"
                    GROUP BY
                      1
                  ) AS "t10"
                    ON "t8"."series" = "t10"."series" AND "t8"."observed_at" = "t10"."observed_at"
                ) AS "t11"
                UNION ALL
                SELECT
                  *
                FROM (
                  SELECT
                    *
                  FROM "standing" AS "t2"
                  WHERE
                    "t2"."observed_at" >= {start}
                ) AS "t5"
              ) AS "t12"
              WHERE
                "t12"."number" IS NOT NULL
            ) AS "t13"
          ) AS "t14"
          WHERE
            "t14"."ends" > "t14"."begins"
        ) AS "t15"
      ) AS "t16"
    ) AS "t18"
    INNER JOIN "slots" AS "t3"
      ON "t18"."stretch" = "t3"."stretch"
    INNER JOIN "wanted" AS "t4"
      ON "t18"."series" = "t4"."series"
  ) AS "t19"
  WHERE
    "t19"."lasting" > 0
) AS "t20"
GROUP BY
  1,
  2

-- question: sums_single
WITH "t12" AS (
  SELECT
    "t11"."grp",
    "t11"."bucket",
    "t11"."n",
    CASE
      WHEN (
        {above} IS NULL
      ) OR (
        "t11"."v" > {above}
      )
      THEN "t11"."v"
      ELSE CAST(NULL AS DOUBLE)
    END AS "v"
  FROM (
    SELECT
      "t3"."grp",
      "t3"."turn",
      "t10"."bucket",
      "t10"."n",
      (
        "t10"."mean" * "t3"."factor"
      ) + "t3"."shift" AS "v"
    FROM (
      SELECT
        "t8"."series",
        "t8"."bucket",
        AVG("t8"."number") AS "mean",
        COUNT(*) AS "n"
      FROM (
        SELECT
          "t7"."series",
          "t7"."bucket",
          "t7"."number"
        FROM (
          SELECT
            "t6"."series",
            "t6"."observed_at",
            "t6"."sequence",
            "t6"."number",
            "t6"."stretch",
            "t4"."bucket",
            "t4"."edge",
            "t4"."ends"
          FROM (
            SELECT
              "t1"."series",
              "t1"."observed_at",
              "t1"."sequence",
              "t1"."number",
              "t1"."observed_at" - (
                (
                  "t1"."observed_at" - {first}
                ) % {step}
              ) AS "stretch"
            FROM "standing" AS "t1"
          ) AS "t6"
          INNER JOIN "slots" AS "t4"
            ON "t6"."stretch" = "t4"."stretch"
        ) AS "t7"
        WHERE
          "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
      ) AS "t8"
      GROUP BY
        1,
        2
    ) AS "t10"
    INNER JOIN "wanted" AS "t3"
      ON "t10"."series" = "t3"."series"
  ) AS "t11"
)
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    -1 AS "bucket",
    "t14"."cells",
    "t14"."total",
    "t14"."readings"
  FROM (
    SELECT
      "t13"."grp",
      COUNT("t13"."v") AS "cells",
      COALESCE(SUM("t13"."v"), 0.0) AS "total",
      SUM("t13"."n") AS "readings"
    FROM "t12" AS "t13"
    GROUP BY
      1
  ) AS "t14"
) AS "t16"
UNION ALL
SELECT
  *
FROM (
  SELECT
    -1 AS "grp",
    "t15"."bucket",
    "t15"."cells",
    "t15"."total",
    "t15"."readings"
  FROM (
    SELECT
      "t13"."bucket",
      COUNT("t13"."v") AS "cells",
      COALESCE(SUM("t13"."v"), 0.0) AS "total",
      SUM("t13"."n") AS "readings"
    FROM "t12" AS "t13"
    GROUP BY
      1
  ) AS "t15"
) AS "t17"

-- question: medians_single
SELECT
  "t13"."grp",
  QUANTILE_CONT("t13"."v", 0.5) AS "v"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      "t11"."n",
      CASE
        WHEN (
          {above} IS NULL
        ) OR (
          "t11"."v" > {above}
        )
        THEN "t11"."v"
        ELSE CAST(NULL AS DOUBLE)
      END AS "v"
    FROM (
      SELECT
        "t3"."grp",
        "t3"."turn",
        "t10"."bucket",
        "t10"."n",
        (
          "t10"."mean" * "t3"."factor"
        ) + "t3"."shift" AS "v"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          AVG("t8"."number") AS "mean",
          COUNT(*) AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."number"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."sequence",
              "t6"."number",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."sequence",
                "t1"."number",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "standing" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
  ) AS "t12"
  WHERE
    "t12"."v" IS NOT NULL
) AS "t13"
GROUP BY
  1

-- question: sums_several
WITH "t13" AS (
  SELECT
    "t12"."grp",
    "t12"."bucket",
    "t12"."n",
    CASE
      WHEN (
        {above} IS NULL
      ) OR (
        "t12"."v" > {above}
      )
      THEN "t12"."v"
      ELSE CAST(NULL AS DOUBLE)
    END AS "v"
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      FIRST("t11"."v" ORDER BY "t11"."turn") FILTER(WHERE
        "t11"."v" IS NOT NULL) AS "v",
      SUM("t11"."n") AS "n"
    FROM (
      SELECT
        "t3"."grp",
        "t3"."turn",
        "t10"."bucket",
        "t10"."n",
        (
          "t10"."mean" * "t3"."factor"
        ) + "t3"."shift" AS "v"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          AVG("t8"."number") AS "mean",
          COUNT(*) AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."number"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."sequence",
              "t6"."number",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."sequence",
                "t1"."number",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "standing" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
    GROUP BY
      1,
      2
  ) AS "t12"
)
SELECT
  *
FROM (
  SELECT
    "t15"."grp",
    -1 AS "bucket",
    "t15"."cells",
    "t15"."total",
    "t15"."readings"
  FROM (
    SELECT
      "t14"."grp",
      COUNT("t14"."v") AS "cells",
      COALESCE(SUM("t14"."v"), 0.0) AS "total",
      SUM("t14"."n") AS "readings"
    FROM "t13" AS "t14"
    GROUP BY
      1
  ) AS "t15"
) AS "t17"
UNION ALL
SELECT
  *
FROM (
  SELECT
    -1 AS "grp",
    "t16"."bucket",
    "t16"."cells",
    "t16"."total",
    "t16"."readings"
  FROM (
    SELECT
      "t14"."bucket",
      COUNT("t14"."v") AS "cells",
      COALESCE(SUM("t14"."v"), 0.0) AS "total",
      SUM("t14"."n") AS "readings"
    FROM "t13" AS "t14"
    GROUP BY
      1
  ) AS "t16"
) AS "t18"

-- question: medians_several
SELECT
  "t14"."grp",
  QUANTILE_CONT("t14"."v", 0.5) AS "v"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t12"."grp",
      "t12"."bucket",
      "t12"."n",
      CASE
        WHEN (
          {above} IS NULL
        ) OR (
          "t12"."v" > {above}
        )
        THEN "t12"."v"
        ELSE CAST(NULL AS DOUBLE)
      END AS "v"
    FROM (
      SELECT
        "t11"."grp",
        "t11"."bucket",
        FIRST("t11"."v" ORDER BY "t11"."turn") FILTER(WHERE
          "t11"."v" IS NOT NULL) AS "v",
        SUM("t11"."n") AS "n"
      FROM (
        SELECT
          "t3"."grp",
          "t3"."turn",
          "t10"."bucket",
          "t10"."n",
          (
            "t10"."mean" * "t3"."factor"
          ) + "t3"."shift" AS "v"
        FROM (
          SELECT
            "t8"."series",
            "t8"."bucket",
            AVG("t8"."number") AS "mean",
            COUNT(*) AS "n"
          FROM (
            SELECT
              "t7"."series",
              "t7"."bucket",
              "t7"."number"
            FROM (
              SELECT
                "t6"."series",
                "t6"."observed_at",
                "t6"."sequence",
                "t6"."number",
                "t6"."stretch",
                "t4"."bucket",
                "t4"."edge",
                "t4"."ends"
              FROM (
                SELECT
                  "t1"."series",
                  "t1"."observed_at",
                  "t1"."sequence",
                  "t1"."number",
                  "t1"."observed_at" - (
                    (
                      "t1"."observed_at" - {first}
                    ) % {step}
                  ) AS "stretch"
                FROM "standing" AS "t1"
              ) AS "t6"
              INNER JOIN "slots" AS "t4"
                ON "t6"."stretch" = "t4"."stretch"
            ) AS "t7"
            WHERE
              "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
          ) AS "t8"
          GROUP BY
            1,
            2
        ) AS "t10"
        INNER JOIN "wanted" AS "t3"
          ON "t10"."series" = "t3"."series"
      ) AS "t11"
      GROUP BY
        1,
        2
    ) AS "t12"
  ) AS "t13"
  WHERE
    "t13"."v" IS NOT NULL
) AS "t14"
GROUP BY
  1

-- question: presence
WITH "t13" AS (
  SELECT
    "t12"."grp",
    "t12"."bucket",
    "t12"."n",
    (
      "t12"."bucket" - LAG("t12"."bucket") OVER (
        PARTITION BY "t12"."grp"
        ORDER BY "t12"."bucket" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      )
    ) - 1 AS "gap"
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      SUM("t11"."n") AS "n"
    FROM (
      SELECT
        "t10"."series",
        "t10"."bucket",
        "t10"."n",
        "t3"."grp",
        "t3"."turn",
        "t3"."factor",
        "t3"."shift",
        "t3"."reference"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          COUNT(*) AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."number"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."sequence",
              "t6"."number",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."sequence",
                "t1"."number",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "standing" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
    GROUP BY
      1,
      2
  ) AS "t12"
)
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    MIN("t14"."bucket") AS "first",
    0 AS "gap",
    MAX("t14"."bucket") AS "last",
    COUNT(*) AS "present",
    SUM("t14"."n") AS "readings"
  FROM "t13" AS "t14"
  GROUP BY
    1
) AS "t15"
UNION ALL
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    "t14"."bucket" - "t14"."gap" AS "first",
    "t14"."gap",
    "t14"."bucket" AS "last",
    0 AS "present",
    0 AS "readings"
  FROM "t13" AS "t14"
  WHERE
    "t14"."gap" > 0
  ORDER BY
    "t14"."gap" DESC,
    "t14"."grp" ASC,
    "t14"."bucket" - "t14"."gap" ASC
  LIMIT 100
) AS "t17"

-- question: sums_single_rolled
WITH "t12" AS (
  SELECT
    "t11"."grp",
    "t11"."bucket",
    "t11"."n",
    CASE
      WHEN (
        {above} IS NULL
      ) OR (
        "t11"."v" > {above}
      )
      THEN "t11"."v"
      ELSE CAST(NULL AS DOUBLE)
    END AS "v"
  FROM (
    SELECT
      "t3"."grp",
      "t3"."turn",
      "t10"."bucket",
      "t10"."n",
      (
        "t10"."mean" * "t3"."factor"
      ) + "t3"."shift" AS "v"
    FROM (
      SELECT
        "t8"."series",
        "t8"."bucket",
        SUM("t8"."added") / NULLIF(SUM("t8"."numbers"), 0) AS "mean",
        SUM("t8"."total") AS "n"
      FROM (
        SELECT
          "t7"."series",
          "t7"."bucket",
          "t7"."total",
          "t7"."numbers",
          "t7"."added"
        FROM (
          SELECT
            "t6"."series",
            "t6"."observed_at",
            "t6"."total",
            "t6"."numbers",
            "t6"."added",
            "t6"."stretch",
            "t4"."bucket",
            "t4"."edge",
            "t4"."ends"
          FROM (
            SELECT
              "t1"."series",
              "t1"."observed_at",
              "t1"."total",
              "t1"."numbers",
              "t1"."added",
              "t1"."observed_at" - (
                (
                  "t1"."observed_at" - {first}
                ) % {step}
              ) AS "stretch"
            FROM "counted" AS "t1"
          ) AS "t6"
          INNER JOIN "slots" AS "t4"
            ON "t6"."stretch" = "t4"."stretch"
        ) AS "t7"
        WHERE
          "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
      ) AS "t8"
      GROUP BY
        1,
        2
    ) AS "t10"
    INNER JOIN "wanted" AS "t3"
      ON "t10"."series" = "t3"."series"
  ) AS "t11"
)
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    -1 AS "bucket",
    "t14"."cells",
    "t14"."total",
    "t14"."readings"
  FROM (
    SELECT
      "t13"."grp",
      COUNT("t13"."v") AS "cells",
      COALESCE(SUM("t13"."v"), 0.0) AS "total",
      SUM("t13"."n") AS "readings"
    FROM "t12" AS "t13"
    GROUP BY
      1
  ) AS "t14"
) AS "t16"
UNION ALL
SELECT
  *
FROM (
  SELECT
    -1 AS "grp",
    "t15"."bucket",
    "t15"."cells",
    "t15"."total",
    "t15"."readings"
  FROM (
    SELECT
      "t13"."bucket",
      COUNT("t13"."v") AS "cells",
      COALESCE(SUM("t13"."v"), 0.0) AS "total",
      SUM("t13"."n") AS "readings"
    FROM "t12" AS "t13"
    GROUP BY
      1
  ) AS "t15"
) AS "t17"

-- question: medians_single_rolled
SELECT
  "t13"."grp",
  QUANTILE_CONT("t13"."v", 0.5) AS "v"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      "t11"."n",
      CASE
        WHEN (
          {above} IS NULL
        ) OR (
          "t11"."v" > {above}
        )
        THEN "t11"."v"
        ELSE CAST(NULL AS DOUBLE)
      END AS "v"
    FROM (
      SELECT
        "t3"."grp",
        "t3"."turn",
        "t10"."bucket",
        "t10"."n",
        (
          "t10"."mean" * "t3"."factor"
        ) + "t3"."shift" AS "v"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          SUM("t8"."added") / NULLIF(SUM("t8"."numbers"), 0) AS "mean",
          SUM("t8"."total") AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."total",
            "t7"."numbers",
            "t7"."added"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."total",
              "t6"."numbers",
              "t6"."added",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."total",
                "t1"."numbers",
                "t1"."added",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "counted" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
  ) AS "t12"
  WHERE
    "t12"."v" IS NOT NULL
) AS "t13"
GROUP BY
  1

-- question: sums_several_rolled
WITH "t13" AS (
  SELECT
    "t12"."grp",
    "t12"."bucket",
    "t12"."n",
    CASE
      WHEN (
        {above} IS NULL
      ) OR (
        "t12"."v" > {above}
      )
      THEN "t12"."v"
      ELSE CAST(NULL AS DOUBLE)
    END AS "v"
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      FIRST("t11"."v" ORDER BY "t11"."turn") FILTER(WHERE
        "t11"."v" IS NOT NULL) AS "v",
      SUM("t11"."n") AS "n"
    FROM (
      SELECT
        "t3"."grp",
        "t3"."turn",
        "t10"."bucket",
        "t10"."n",
        (
          "t10"."mean" * "t3"."factor"
        ) + "t3"."shift" AS "v"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          SUM("t8"."added") / NULLIF(SUM("t8"."numbers"), 0) AS "mean",
          SUM("t8"."total") AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."total",
            "t7"."numbers",
            "t7"."added"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."total",
              "t6"."numbers",
              "t6"."added",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."total",
                "t1"."numbers",
                "t1"."added",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "counted" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
    GROUP BY
      1,
      2
  ) AS "t12"
)
SELECT
  *
FROM (
  SELECT
    "t15"."grp",
    -1 AS "bucket",
    "t15"."cells",
    "t15"."total",
    "t15"."readings"
  FROM (
    SELECT
      "t14"."grp",
      COUNT("t14"."v") AS "cells",
      COALESCE(SUM("t14"."v"), 0.0) AS "total",
      SUM("t14"."n") AS "readings"
    FROM "t13" AS "t14"
    GROUP BY
      1
  ) AS "t15"
) AS "t17"
UNION ALL
SELECT
  *
FROM (
  SELECT
    -1 AS "grp",
    "t16"."bucket",
    "t16"."cells",
    "t16"."total",
    "t16"."readings"
  FROM (
    SELECT
      "t14"."bucket",
      COUNT("t14"."v") AS "cells",
      COALESCE(SUM("t14"."v"), 0.0) AS "total",
      SUM("t14"."n") AS "readings"
    FROM "t13" AS "t14"
    GROUP BY
      1
  ) AS "t16"
) AS "t18"

-- question: medians_several_rolled
SELECT
  "t14"."grp",
  QUANTILE_CONT("t14"."v", 0.5) AS "v"
FROM (
  SELECT
    *
  FROM (
    SELECT
      "t12"."grp",
      "t12"."bucket",
      "t12"."n",
      CASE
        WHEN (
          {above} IS NULL
        ) OR (
          "t12"."v" > {above}
        )
        THEN "t12"."v"
        ELSE CAST(NULL AS DOUBLE)
      END AS "v"
    FROM (
      SELECT
        "t11"."grp",
        "t11"."bucket",
        FIRST("t11"."v" ORDER BY "t11"."turn") FILTER(WHERE
          "t11"."v" IS NOT NULL) AS "v",
        SUM("t11"."n") AS "n"
      FROM (
        SELECT
          "t3"."grp",
          "t3"."turn",
          "t10"."bucket",
          "t10"."n",
          (
            "t10"."mean" * "t3"."factor"
          ) + "t3"."shift" AS "v"
        FROM (
          SELECT
            "t8"."series",
            "t8"."bucket",
            SUM("t8"."added") / NULLIF(SUM("t8"."numbers"), 0) AS "mean",
            SUM("t8"."total") AS "n"
          FROM (
            SELECT
              "t7"."series",
              "t7"."bucket",
              "t7"."total",
              "t7"."numbers",
              "t7"."added"
            FROM (
              SELECT
                "t6"."series",
                "t6"."observed_at",
                "t6"."total",
                "t6"."numbers",
                "t6"."added",
                "t6"."stretch",
                "t4"."bucket",
                "t4"."edge",
                "t4"."ends"
              FROM (
                SELECT
                  "t1"."series",
                  "t1"."observed_at",
                  "t1"."total",
                  "t1"."numbers",
                  "t1"."added",
                  "t1"."observed_at" - (
                    (
                      "t1"."observed_at" - {first}
                    ) % {step}
                  ) AS "stretch"
                FROM "counted" AS "t1"
              ) AS "t6"
              INNER JOIN "slots" AS "t4"
                ON "t6"."stretch" = "t4"."stretch"
            ) AS "t7"
            WHERE
              "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
          ) AS "t8"
          GROUP BY
            1,
            2
        ) AS "t10"
        INNER JOIN "wanted" AS "t3"
          ON "t10"."series" = "t3"."series"
      ) AS "t11"
      GROUP BY
        1,
        2
    ) AS "t12"
  ) AS "t13"
  WHERE
    "t13"."v" IS NOT NULL
) AS "t14"
GROUP BY
  1

-- question: presence_rolled
WITH "t13" AS (
  SELECT
    "t12"."grp",
    "t12"."bucket",
    "t12"."n",
    (
      "t12"."bucket" - LAG("t12"."bucket") OVER (
        PARTITION BY "t12"."grp"
        ORDER BY "t12"."bucket" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      )
    ) - 1 AS "gap"
  FROM (
    SELECT
      "t11"."grp",
      "t11"."bucket",
      SUM("t11"."n") AS "n"
    FROM (
      SELECT
        "t10"."series",
        "t10"."bucket",
        "t10"."n",
        "t3"."grp",
        "t3"."turn",
        "t3"."factor",
        "t3"."shift",
        "t3"."reference"
      FROM (
        SELECT
          "t8"."series",
          "t8"."bucket",
          SUM("t8"."total") AS "n"
        FROM (
          SELECT
            "t7"."series",
            "t7"."bucket",
            "t7"."total",
            "t7"."numbers",
            "t7"."added"
          FROM (
            SELECT
              "t6"."series",
              "t6"."observed_at",
              "t6"."total",
              "t6"."numbers",
              "t6"."added",
              "t6"."stretch",
              "t4"."bucket",
              "t4"."edge",
              "t4"."ends"
            FROM (
              SELECT
                "t1"."series",
                "t1"."observed_at",
                "t1"."total",
                "t1"."numbers",
                "t1"."added",
                "t1"."observed_at" - (
                  (
                    "t1"."observed_at" - {first}
                  ) % {step}
                ) AS "stretch"
              FROM "counted" AS "t1"
            ) AS "t6"
            INNER JOIN "slots" AS "t4"
              ON "t6"."stretch" = "t4"."stretch"
          ) AS "t7"
          WHERE
            "t7"."observed_at" >= "t7"."edge" AND "t7"."observed_at" < "t7"."ends"
        ) AS "t8"
        GROUP BY
          1,
          2
      ) AS "t10"
      INNER JOIN "wanted" AS "t3"
        ON "t10"."series" = "t3"."series"
    ) AS "t11"
    GROUP BY
      1,
      2
  ) AS "t12"
)
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    MIN("t14"."bucket") AS "first",
    0 AS "gap",
    MAX("t14"."bucket") AS "last",
    COUNT(*) AS "present",
    SUM("t14"."n") AS "readings"
  FROM "t13" AS "t14"
  GROUP BY
    1
) AS "t15"
UNION ALL
SELECT
  *
FROM (
  SELECT
    "t14"."grp",
    "t14"."bucket" - "t14"."gap" AS "first",
    "t14"."gap",
    "t14"."bucket" AS "last",
    0 AS "present",
    0 AS "readings"
  FROM "t13" AS "t14"
  WHERE
    "t14"."gap" > 0
  ORDER BY
    "t14"."gap" DESC,
    "t14"."grp" ASC,
    "t14"."bucket" - "t14"."gap" ASC
  LIMIT 100
) AS "t17"
