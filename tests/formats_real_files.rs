//! Real files: do they hold what was counted in them, and keep their meaning through a memory?

use dhakira::formats::{self, FileHeader, Format};
use dhakira::unit::{Unit, UnitId};

use crate::formats_exchange::{options, read};
use crate::support::shared;

/// Units, inline elements and rejected units of real files, read as English to French; counted apart from this program, with
/// another XML parser: pairs of variants of the two languages that have text, the elements in both (a highlight is two, what
/// stands inside a code is none), and units without any pair or with an empty side.
const REAL: [(&str, usize, usize, usize); 65] = [
    ("matecat__files_tmx_exampleForTestOriginal.tmx", 0, 0, 2),
    ("neokapi__apps_kapi-desktop_backend_sample_kapimart_memory-seed.tmx", 200, 0, 0),
    ("omegat-org__data_autotmx_auto1.tmx", 2, 0, 0),
    ("omegat-org__data_autotmx_auto14.tmx", 2, 0, 0),
    ("omegat-org__data_autotmx_project1.tmx", 0, 0, 0),
    ("omegat-org__data_enforcetmx_alternative.tmx", 2, 0, 0),
    ("omegat-org__data_enforcetmx_alternative14.tmx", 2, 0, 0),
    ("omegat-org__data_enforcetmx_enforce1.tmx", 1, 0, 0),
    ("omegat-org__data_enforcetmx_enforce14.tmx", 1, 0, 0),
    ("omegat-org__data_enforcetmx_project1.tmx", 1, 0, 0),
    ("omegat-org__data_mark_alternative.tmx", 2, 0, 0),
    ("omegat-org__data_project_CN_JP_omegat_project_save.tmx", 0, 0, 1),
    ("omegat-org__data_project_external_tm_omegat_project_save.tmx", 2, 0, 0),
    ("omegat-org__data_project_external_tm_tm_en-fr.tmx", 1, 0, 0),
    ("omegat-org__data_project_fuzzy_omegat_project_save.tmx", 0, 0, 0),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_1.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_2.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_3.tmx", 0, 0, 1),
    ("omegat-org__data_project_fuzzy_tm_penalty-010_segment_4.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1A.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1B.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1C.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest1E.tmx", 4, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ExportTest2A.tmx", 6, 52, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1A.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1B.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1C.tmx", 6, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1D.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1E.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1F.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1G.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1H.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1I.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1J.tmx", 0, 0, 2),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1J_many.tmx", 0, 0, 3),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1K.tmx", 1, 0, 1),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest1L.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2A-0index.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2A.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2B.tmx", 7, 46, 0),
    ("omegat-org__data_tmx_TMXComplianceKit_ImportTest2C.tmx", 2, 24, 0),
    ("omegat-org__data_tmx_empty.tmx", 0, 0, 0),
    ("omegat-org__data_tmx_en-US_en-GB_fr_sr.tmx", 2, 0, 0),
    ("omegat-org__data_tmx_en-US_sr.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_en-ca.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_invalid.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_mt_mt1.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_penalty-010_segment_1.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_project_save.tmx", 5, 0, 0),
    ("omegat-org__data_tmx_resegmenting.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_resegmenting11.tmx", 1, 0, 0),
    ("omegat-org__data_tmx_segment_2.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_test-SMP.tmx", 0, 0, 1),
    ("omegat-org__data_tmx_test-level1.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-level2.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-match-stat-en-ca.tmx", 0, 0, 259),
    ("omegat-org__data_tmx_test-match-stat-en-ca11.tmx", 0, 0, 259),
    ("omegat-org__data_tmx_test-missingSource.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-entries.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-entries11.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-multiple-tuv.tmx", 5, 0, 1),
    ("omegat-org__data_tmx_test-multiple-tuv14.tmx", 5, 0, 1),
    ("omegat-org__data_tmx_test-omegat-invalid.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-omegat.tmx", 0, 0, 4),
    ("omegat-org__data_tmx_test-save-tmx14.tmx", 0, 0, 4),
];

#[test]
fn real_files_hold_what_was_counted() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut wrong = Vec::new();
    for (name, units, tags, rejected) in REAL {
        let file = directory.join(name);
        let it = read(std::fs::read(file).unwrap(), &options("en", "fr"));
        let counted = (it.units.len(), it.tags(), it.rejected.len(), it.broken.len());
        if counted != (units, tags, rejected, 0) {
            wrong.push((name, counted));
        }
    }
    assert_eq!(wrong, []);
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), REAL.len());
}

/// Units of the health texts, counted the same way.
const TICO: usize = 3071;

/// Units and inline elements of real XLIFF files, counted the same way.
const XLIFF: [(&str, usize, usize); 5] = [
    ("MicrosoftDocs__CAAP.5398ab.ar-SA.xlf", 2, 4),
    ("MicrosoftDocs__accounts-payable.3939cb.ar-SA.xlf", 64, 166),
    ("MicrosoftDocs__copy-customer.aa4a7c.ar-SA.xlf", 58, 110),
    ("MicrosoftDocs__release-notes.39f667.ar-SA.xlf", 5, 8),
    ("MicrosoftDocs__toc.yml.a8dae3.ar-SA.xlf", 1, 0),
];

#[test]
fn the_health_texts_and_the_manual_are_read_whole() {
    let Some(file) = shared("data/tico19/all.en-ar.tmx.xz") else { return };
    let it = read(std::fs::read(file).unwrap(), &options("ar", "en"));
    assert_eq!((it.units.len(), it.rejected.len(), it.broken.len()), (TICO, 0, 0));
    let Some(directory) = shared("data/exchange/xliff") else { return };
    for (name, units, tags) in XLIFF {
        let it = read(std::fs::read(directory.join(name)).unwrap(), &options("ar", "en"));
        assert_eq!((it.units.len(), it.tags(), it.rejected.len()), (units, tags, 0), "{name}");
        // The memory is Arabic to English, the files are not.
        let arabic =
            |text: &str| text.chars().filter(|it| ('\u{621}'..'\u{64b}').contains(it)).count();
        assert!(it.units.iter().all(|it| arabic(&it.target.text) == 0), "{name}");
    }
}

#[test]
fn real_files_keep_their_meaning_through_a_memory() {
    let Some(directory) = shared("data/exchange/tmx") else { return };
    let mut compared = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        for target in ["fr", "sr", "ja", "en-CA"] {
            let options = options("en", target);
            let first = read(std::fs::read(&path).unwrap(), &options);
            let header = FileHeader {
                source_lang: options.source_lang.clone(),
                target_lang: options.target_lang.clone(),
                tool_version: "1".into(),
            };
            let mut writer = formats::create(Format::Tmx, &header, Vec::new()).unwrap();
            for content in &first.units {
                writer.write(&Unit::new(UnitId(1), 1, content.clone())).unwrap();
            }
            let second = read(writer.finish().unwrap(), &options);
            assert_eq!(second.units, first.units, "{}", path.display());
            compared += first.units.len();
        }
    }
    assert!(compared > 100, "{compared}");
}
