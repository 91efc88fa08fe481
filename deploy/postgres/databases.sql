-- Run once, by the PostgreSQL image on an empty data folder.
CREATE DATABASE dagster;
CREATE DATABASE mlflow;
