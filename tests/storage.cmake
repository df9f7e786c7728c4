# tests of storage
