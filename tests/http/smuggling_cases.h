// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads tests/data/http_smuggling.txt.

#include <fstream>
#include <string>
#include <vector>

#include "tests/support/sources.h"

namespace cvlan::http::test {

struct SmugglingCase {
    int status;
    std::string name;
    std::string bytes;
};

inline std::string unescaped(const std::string& text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '{') {
            const size_t end = text.find('}', i);
            const size_t star = text.rfind('*', end);
            const std::string piece = unescaped(text.substr(i + 1, star - i - 1));
            const size_t times = std::stoul(text.substr(star + 1, end - star - 1));
            if (piece.size() == 1) {
                out.append(times, piece[0]);
            } else {
                for (size_t n = 0; n < times; ++n) out += piece;
            }
            i = end;
        } else if (text[i] != '\\') {
            out += text[i];
        } else if (text[++i] == 'x') {
            out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            const char c = text[i];
            out += c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c;
        }
    }
    return out;
}

inline std::vector<SmugglingCase> smuggling_cases() {
    std::vector<SmugglingCase> cases;
    std::ifstream file(cvlan::test::source_file("tests/data/http_smuggling.txt"));
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        const size_t name = line.find(" | ");
        const size_t bytes = line.find(" | ", name + 3);
        cases.push_back({std::stoi(line), line.substr(name + 3, bytes - name - 3),
                         unescaped(line.substr(bytes + 3))});
    }
    return cases;
}

}  // namespace cvlan::http::test
