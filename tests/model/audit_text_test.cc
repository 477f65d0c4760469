// SPDX-License-Identifier: Apache-2.0
#include "model/audit_text.h"

#include <gtest/gtest.h>

namespace cvlan::model {
namespace {

TEST(AuditCsv, QuotesAndKeepsSpreadsheetsFromComputing) {
    AuditEntry entry;
    entry.sequence = 7;
    entry.at = from_unix_ms(0);
    entry.actor = "=HYPERLINK(\"http://x\")";
    entry.source = "@a";
    entry.request_id = "-1";
    entry.action = "line\r\nbreak, and comma";
    entry.outcome = "OK";
    entry.before = R"({"name":"a"})";
    EXPECT_EQ(
        audit_csv(entry),
        "\"\",7,\"1970-01-01T00:00:00.000Z\",\"'=HYPERLINK(\"\"http://x\"\")\",\"'@a\","
        "\"'-1\",\"line\r\nbreak, and comma\",\"\",\"\",\"OK\",1,\"{\"\"name\"\":\"\"a\"\"}\","
        "\"\",\"\",\"\"\r\n");
    const std::string header = audit_csv_header();
    EXPECT_EQ(std::count(header.begin(), header.end(), ','), 14);
}

TEST(AuditNdjson, IsTheApisEntryOnALineOfItsOwn) {
    AuditEntry entry;
    entry.tenant_id = "0190a000-0000-7000-8000-000000000000";
    entry.sequence = 1;
    entry.action = "a\nb";
    const std::string line = audit_ndjson(entry);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    EXPECT_EQ(decode<wire::AuditEntry>(line, kDocument)->action, "a\nb");
}

}  // namespace
}  // namespace cvlan::model
