// SPDX-License-Identifier: Apache-2.0
#include "http/https_url.h"

#include <gtest/gtest.h>

namespace cvlan::http {
namespace {

TEST(HttpsUrl, IsTakenApart) {
    const auto plain = *HttpsUrl::parse("https://hooks.example.org/a/b?c=d");
    EXPECT_EQ(plain.host, "hooks.example.org");
    EXPECT_EQ(plain.port, 443);
    EXPECT_EQ(plain.target, "/a/b?c=d");
    const auto v6 = *HttpsUrl::parse("https://[2001:db8::1]:8443");
    EXPECT_EQ(v6.host, "2001:db8::1");
    EXPECT_EQ(v6.port, 8443);
    EXPECT_EQ(v6.target, "/");
    EXPECT_EQ(HttpsUrl::parse("https://h?x")->target, "/?x");
}

TEST(HttpsUrl, RefusesWhatCouldMeanAnotherPlace) {
    for (const char* bad : {"",
                            "http://h/",
                            "ftp://h/",
                            "https://",
                            "https:///x",
                            "https://user@h/",
                            "https://u:p@h/",
                            "https://h:0/",
                            "https://h:65536/",
                            "https://h:x/",
                            "https://h:/",
                            "https://h /",
                            "https://h\n/",
                            "https://h#f",
                            "https://h\\@other/",
                            "https://[::1",
                            "https://[1.2.3.4]/",
                            "https://[fe80::1%25eth0]/",
                            "https://2130706433/",
                            "https://127.1/",
                            "https://0x7f.0.0.1/",
                            "https://h\xc3\xa9/",
                            "https://-h/",
                            "https://.h/",
                            "HTTPS://h/"})
        EXPECT_FALSE(HttpsUrl::parse(bad)) << bad;
}

}  // namespace
}  // namespace cvlan::http
