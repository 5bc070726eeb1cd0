# tinsmith_add_model(TARGET MODEL [NAME name] [OPTIMIZE mode] [RAM size] [FLASH size] [MEMORY list] [FEED_ROWS])
#
# Compiles MODEL (.tflite, relative to the calling list file) whenever it changes, and adds it to TARGET. Its header is
# NAME.h; NAME comes from the file's name. The other options are those of `tinsmith compile`; the build stops if a
# budget is missed. A model with a budget for flash gets kernels of its own, built as they were measured: it must be
# the only model of TARGET.
#
# SPDX-License-Identifier: Apache-2.0

function(tinsmith_add_model target model)
    cmake_parse_arguments(PARSE_ARGV 2 option "FEED_ROWS" "NAME;OPTIMIZE;RAM;FLASH;MEMORY" "")
    if(DEFINED option_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "tinsmith_add_model(${target} ${model}): there is no option '${option_UNPARSED_ARGUMENTS}'; "
            "it takes NAME, OPTIMIZE, RAM, FLASH, MEMORY and FEED_ROWS")
    endif()
    if(DEFINED option_KEYWORDS_MISSING_VALUES)
        message(FATAL_ERROR "tinsmith_add_model(${target} ${model}): ${option_KEYWORDS_MISSING_VALUES} needs a value")
    endif()
    find_program(TINSMITH_COMMAND tinsmith HINTS ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../.venv/bin REQUIRED
        DOC "The tinsmith command: pip install it, or `make setup` in its repository")
    get_filename_component(model ${model} ABSOLUTE)
    get_filename_component(name ${model} NAME_WE)
    if(DEFINED option_NAME)
        set(name ${option_NAME})
    endif()
    # As the command would make a C identifier of it; the files' names have to be known here.
    string(TOLOWER ${name} name)
    string(REGEX REPLACE "[^0-9a-z]+" "_" name ${name})
    tinsmith_count_models(${target} ${name} "${option_FLASH}")

    set(arguments --target ${TINSMITH_TARGET} --name ${name})
    foreach(word OPTIMIZE RAM FLASH MEMORY)
        if(DEFINED option_${word})
            string(TOLOWER ${word} flag)
            list(APPEND arguments --${flag} ${option_${word}})
        endif()
    endforeach()
    if(option_FEED_ROWS)
        list(APPEND arguments --feed-rows)
    endif()
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/${target}.models)
    set(generated ${folder}/${name}.c ${folder}/${name}.h)
    set(settings ${folder}/${name}.flags ${folder}/${name}_kernels.h)
    add_custom_command(
        OUTPUT ${generated} ${settings}
        BYPRODUCTS ${folder}/${name}.json
        COMMAND ${TINSMITH_COMMAND} compile ${model} --out ${folder} ${arguments}
        COMMAND ${CMAKE_COMMAND} -D NAME=${name} -D FOLDER=${folder} -P ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/settings.cmake
        DEPENDS ${model}
        COMMENT "Compiling ${model}"
        VERBATIM)
    target_sources(${target} PRIVATE ${generated})
    target_include_directories(${target} PRIVATE ${folder})
    if(DEFINED option_FLASH)
        tinsmith_own_kernels(${target} ${name} ${folder} "${generated};${settings}")
    else()
        target_link_libraries(${target} PRIVATE tinsmith_core)
    endif()
endfunction()

# Refuses a second model beside one whose kernels leave out what other models may need.
function(tinsmith_count_models target name flash)
    set_property(TARGET ${target} APPEND PROPERTY TINSMITH_MODELS ${name})
    if(flash)
        set_property(TARGET ${target} PROPERTY TINSMITH_FLASH ${name})
    endif()
    get_target_property(models ${target} TINSMITH_MODELS)
    get_target_property(limited ${target} TINSMITH_FLASH)
    list(LENGTH models count)
    if(limited AND count GREATER 1)
        list(JOIN models ", " models)
        message(FATAL_ERROR "tinsmith_add_model: FLASH of ${limited} is measured for a target with one model, "
            "and ${target} has ${count}: ${models}")
    endif()
endfunction()

# Builds kernels and model with the flags that the budget for flash was met with.
function(tinsmith_own_kernels target name folder files)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
        message(FATAL_ERROR "tinsmith_add_model: FLASH needs GCC or Clang, and this is ${CMAKE_C_COMPILER_ID}")
    endif()
    set(kernels ${target}_${name}_kernels)
    add_custom_target(${target}_${name}_compiled DEPENDS ${files})
    get_target_property(sources tinsmith_core SOURCES)
    list(FILTER sources INCLUDE REGEX "\\.c$")
    add_library(${kernels} STATIC EXCLUDE_FROM_ALL ${sources})
    tinsmith_library(${kernels})
    # The header is what make has to see: it changes with the flags.
    target_compile_options(${kernels} PRIVATE "SHELL:-include ${folder}/${name}_kernels.h" @${folder}/${name}.flags)
    set_source_files_properties(${folder}/${name}.c PROPERTIES
        COMPILE_OPTIONS "-ffunction-sections;-fdata-sections;@${folder}/${name}.flags")
    add_dependencies(${kernels} ${target}_${name}_compiled)
    add_dependencies(${target} ${target}_${name}_compiled)
    # What is assembly has no parts to leave out, and is the same for all.
    target_link_libraries(${kernels} PUBLIC tinsmith_core)
    target_link_libraries(${target} PRIVATE ${kernels})
endfunction()
