# SPDX-License-Identifier: GPL-2.0
#
# Tests of clone3() with set_tid, in C++, and the command set_tid. The Makefile
# includes this file after lib.mk. Scripts read the lists with
#
#	make -s -f set_tid.mk print-set_tid-tests
#	make -s -f set_tid.mk print-set_tid-kernel-tests

# Every test program, in the order in which they run.
SET_TID_TESTS := set_tid_call_test set_tid_atomic_test set_tid_clone_test \
	set_tid_levels_test set_tid_init_test set_tid_pid_min_test set_tid_fault_test \
	set_tid_race_test set_tid_model_test set_tid_trace_test set_tid_command_test \
	set_tid_check_test set_tid_criu_test

# Those that test the kernel's code, neither the command nor CRIU.
SET_TID_KERNEL_TESTS := $(filter-out set_tid_command_test set_tid_check_test \
	set_tid_criu_test,$(SET_TID_TESTS))

# Programs that are installed, but are no tests.
SET_TID_FILES := set_tid set_tid_bench

# What a 64-bit x86 kernel runs as a 32-bit program, too.
SET_TID_TESTS_32 := $(patsubst %,%_32,$(filter-out set_tid_criu_test,$(SET_TID_TESTS)))
SET_TID_FILES_32 := set_tid_32

ifeq ($(filter %/lib.mk,$(MAKEFILE_LIST)),)

print-set_tid-tests:
	@echo $(SET_TID_TESTS)
print-set_tid-kernel-tests:
	@echo $(SET_TID_KERNEL_TESTS)
.PHONY: print-set_tid-tests print-set_tid-kernel-tests

else

SET_TID_HDRS := $(wildcard set_tid_*.hpp set_tid_lib/*.hpp set_tid_lib/*/*.hpp)

# lib.mk knows nothing of C++: the compiler follows its choice of CC, and the
# names are added to its lists here, below the rules that it made for C.
ifneq ($(LLVM),)
CXX := $(LLVM_PREFIX)clang++$(LLVM_SUFFIX) $(CLANG_FLAGS)
else
CXX := $(CROSS_COMPILE)g++
endif

# g++ counts a member that a designated initializer leaves out as forgotten. With -O2 the
# tests take twice as long to build.
CXXFLAGS = -std=gnu++20 -Wall -Wextra -Wno-missing-field-initializers -Og -g \
	$(KHDR_INCLUDES) -pthread $(USERCFLAGS)
# An installed test runs where there is no C++ library, too.
CXX_LDFLAGS = -static-libstdc++ -static-libgcc $(USERLDFLAGS)
# Few machines that run tests have 32-bit libraries.
CXX_FLAGS_32 := -m32 -static

# The second argument is a C++ program that the compiler must be able to build.
set_tid_builds = $(shell echo '$(2)' | $(CXX) $(CXXFLAGS) $(1) -x c++ - -o /dev/null \
	2>/dev/null && echo yes)

ifeq ($(call set_tid_builds,-include version -fsyntax-only,),yes)
SET_TID_BUILT := $(SET_TID_TESTS:%=$(OUTPUT)/%)
SET_TID_BUILT_FILES := $(SET_TID_FILES:%=$(OUTPUT)/%)
else
$(warning no C++20 compiler ($(firstword $(CXX))): the set_tid tests are left out)
endif

ifneq ($(shell $(CXX) -dM -E -x c++ /dev/null 2>/dev/null | grep -w __x86_64__),)
ifeq ($(call set_tid_builds,-include string $(CXX_FLAGS_32),int main() {}),yes)
SET_TID_BUILT += $(SET_TID_TESTS_32:%=$(OUTPUT)/%)
SET_TID_BUILT_FILES += $(SET_TID_FILES_32:%=$(OUTPUT)/%)
else
$(warning no 32-bit C++ library for $(firstword $(CXX)): the 32-bit set_tid tests are left out)
endif
endif

TEST_GEN_PROGS += $(SET_TID_BUILT)
TEST_GEN_FILES += $(SET_TID_BUILT_FILES)
all: $(SET_TID_BUILT) $(SET_TID_BUILT_FILES)

$(OUTPUT)/%: %.cpp $(SET_TID_HDRS) $(LOCAL_HDRS)
	$(call msg,CXX,,$@)
	$(Q)$(CXX) $(CXXFLAGS) $(CXX_LDFLAGS) $< -o $@

$(OUTPUT)/%_32: %.cpp $(SET_TID_HDRS) $(LOCAL_HDRS)
	$(call msg,CXX,32,$@)
	$(Q)$(CXX) $(CXXFLAGS) $(CXX_FLAGS_32) $(USERLDFLAGS) $< -o $@

endif
