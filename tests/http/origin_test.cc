// SPDX-License-Identifier: Apache-2.0
#include "http/origin.h"

#include <gtest/gtest.h>

namespace cvlan::http {
namespace {

TEST(Origin, ReadsNamesAddressesAndPorts) {
    EXPECT_EQ(*parse_origin("https://c.example:8443"), (Origin{"c.example", 8443}));
    EXPECT_EQ(*parse_origin("https://192.0.2.1"), (Origin{"192.0.2.1", 443}));
    EXPECT_EQ(*parse_origin("https://[2001:db8::1]:8443"), (Origin{"2001:db8::1", 8443}));
    EXPECT_EQ(*parse_origin("https://[2001:db8::1]/"), (Origin{"2001:db8::1", 443}));
}

TEST(Origin, RefusesWhatIsNone) {
    for (const char* url : {"", "http://c:1", "https://", "https://:1", "https://c:0",
                            "https://c:1x", "https://c:99999", "https://c/path", "https://a@c:1",
                            "https://[::1", "https://[::1]x", "https://c c:1", "https://c\n:1"})
        EXPECT_FALSE(parse_origin(url)) << url;
}

}  // namespace
}  // namespace cvlan::http
