// SPDX-License-Identifier: Apache-2.0
#include "http/trace.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace cvlan::http {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";

TEST(Trace, TraceparentIsReadStrictly) {
    const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    EXPECT_EQ(parse_traceparent(good), kTrace);
    EXPECT_EQ(parse_traceparent("cc" + good.substr(2) + "-what-is-to-come"), kTrace);
    for (const std::string& bad :
         {std::string(), good.substr(0, 54), good + "0", good + "-more", "ff" + good.substr(2),
          "cc" + good.substr(2) + ".what", "0g" + good.substr(2),
          std::string("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
          std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
          std::string("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
          std::string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331 01")})
        EXPECT_FALSE(parse_traceparent(bad)) << bad;
}

TEST(Trace, RequestWithoutOneGetsItsOwn) {
    const std::string id = "0198a1b2-0000-7000-8000-000000000001";
    const std::string own = "0198a1b2000070008000000000000001";
    const Header sent{"TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    EXPECT_EQ(trace_id_of({sent}, id), kTrace);
    EXPECT_EQ(trace_id_of({}, id), own);
    EXPECT_EQ(trace_id_of({{"traceparent", "no\" trace=forged"}}, id), own);
    EXPECT_EQ(trace_id_of({sent, sent}, id), own);
}

TEST(Trace, LinesOfItsThreadEndWithIt) {
    const std::string line = log::format_line(log::Level::Info, "a.b", {{"k", 1}});
    {
        const log::Trace outer("one");
        const log::Trace inner("two");
        EXPECT_EQ(log::format_line(log::Level::Info, "a.b", {{"k", 1}}), line + " trace=two");
    }
    EXPECT_EQ(log::format_line(log::Level::Info, "a.b", {{"k", 1}}), line);
}

}  // namespace
}  // namespace cvlan::http
